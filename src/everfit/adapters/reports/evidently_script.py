"""Run by the Python of Evidently's own environment: REFERENCE.parquet CURRENT.parquet PAGE.html LEVELS..."""

from __future__ import annotations

import sys


def main(reference: str, current: str, page: str, *levels: str) -> None:
    """Writes the page."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    then, now = (pd.read_parquet(path) for path in (reference, current))
    numbers = [name for name in then.columns if name not in levels]
    about = DataDefinition(numerical_columns=numbers, categorical_columns=list(levels))
    sides = [Dataset.from_pandas(table, data_definition=about) for table in (now, then)]
    Report([DataDriftPreset(), DataSummaryPreset()]).run(*sides).save_html(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
