"""The files of the prediction log: names, blocks of lines, the one being written, Parquet columns, compaction."""
