"""What becomes of segments: repaired after a crash, made into Parquet, removed when old; the log reads the same."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.errors import StorageError
from everfit.records.prediction import Logged, PredictionBatch, PredictionRecord
from everfit.records.table import Kind, Row, Value
from everfit.serving.log import JsonLinesLog
from everfit.serving.segments import columns
from everfit.serving.segments.compaction import Keep, compact, expire, repair
from everfit.testing.contracts import PredictionLogContract

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
# A record holds no number that is not finite: JSON has none, and a feature that is none is missing.
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
ROWS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


class Compacting(JsonLinesLog):
    """A log of which nothing stays lines."""

    def append(self, records: Sequence[Logged]) -> None:
        super().append(records)
        self.close()
        compact(self.folder, NOW)


class TestCompactedLog(PredictionLogContract):
    def make(self, folder: Path) -> JsonLinesLog:
        return Compacting(folder / "log")


def record(name: str = "a", time: datetime = NOW, **values: Value) -> PredictionRecord:
    return PredictionRecord(name, time, "c-7", values, values, "champion", 3, 0.25, "No", 0.001)


def written(folder: Path, *batches: Sequence[Logged]) -> JsonLinesLog:
    log = JsonLinesLog(folder)
    for batch in batches:
        log.append(batch)
    log.close()
    return log


def endings(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.glob("*_*"))


SHARES = st.none() | st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=3)


@given(st.lists(st.tuples(ROWS, ROWS, SHARES, st.sampled_from(["Yes", 1.5, None])), min_size=1, max_size=6))
@settings(max_examples=40)
def test_any_record_comes_back_from_columns_as_it_was(
    rows: list[tuple[Row, Row, Mapping[str, float] | None, str | float | None]],
) -> None:
    made = [
        PredictionRecord("a", NOW, None, given, features, "champion", 3, 0.5, prediction, 0.1, None, shares)
        for given, features, shares, prediction in rows
    ]
    assert list(columns.records(columns.table(made))) == made


def test_a_closed_segment_becomes_parquet_that_reads_the_same(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a", age=3, plan="x"), record("b", age=2.5)], [record("c", age="12")])
    before = list(log.read())
    assert len(compact(tmp_path, NOW)) == 1
    assert endings(tmp_path) == [".parquet"]
    assert list(log.read()) == before


def test_a_segment_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path)
    log.append([record("a")])
    assert compact(tmp_path, NOW) == []
    log.append([record("b")])
    assert [one.id for one in log.read()] == ["a", "b"]
    log.close()


def test_a_column_of_several_types_is_read_as_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a", age=3), record("b", age=2.5), record("c", age="12")])
    for _ in ("lines", "Parquet"):
        found = log.frame(["id"], features={"age": Kind.NUMERIC, "none": Kind.CATEGORICAL})
        assert found["features.age"].to_list() == [3.0, 2.5, 12.0]
        assert found["features.none"].to_list() == [None, None, None]
        compact(tmp_path, NOW)


def test_what_was_written_before_classes_had_probabilities_is_read(tmp_path: Path) -> None:
    made = record("a", age=3)
    log = written(tmp_path, [made])
    assert b"probabilities" not in next(tmp_path.glob("*.log")).read_bytes()
    for _ in ("lines", "Parquet"):
        assert list(log.read()) == [made]
        assert log.frame(["id"], classes=["low"]).rows() == [("a", None)]
        compact(tmp_path, NOW)
    assert "probabilities" not in pl.read_parquet_schema(next(tmp_path.glob("*.parquet")))


def batch(*names: str, time: datetime = NOW) -> PredictionBatch:
    count, ages = len(names), {"age": list(range(len(names)))}
    return PredictionBatch(
        list(names), time, None, ages, {"age": None}, "champion", 3, [0.25] * count, ["No"] * count, 1.0
    )


def test_a_segment_is_left_when_many_came_in_batches(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path, segment_rows=4)
    for names in ("ab", "cd", "e"):
        log.append([record("x"), batch(*names)])
    assert len(list(tmp_path.glob("*.log"))) == 2
    assert [one.id for one in log.read()] == list("xabxcdxe")
    log.close()


def test_batches_and_records_become_one_table(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a", age=3, plan="x"), batch("b", "c")], [batch("d"), record("e", plan=2)])
    before, columns = list(log.read()), log.frame(["id", "score"], features={"age": Kind.NUMERIC})
    assert columns["features.age"].to_list() == [3.0, 0.0, 1.0, 0.0, None]
    compact(tmp_path, NOW)
    assert endings(tmp_path) == [".parquet"]
    assert list(log.read()) == before
    assert log.frame(["id", "score"], features={"age": Kind.NUMERIC}).equals(columns)


def test_a_damaged_line_of_a_batch_is_named(tmp_path: Path) -> None:
    written(tmp_path, [record("a"), batch("b")])
    segment = next(tmp_path.glob("*.log"))
    first, second, _ = segment.read_bytes().splitlines(keepends=True)
    text = first + second.replace(b'"scores":[0.25]', b'"scores":"high"')
    segment.write_bytes(text + b'{"crc32":%d,"records":2}\n' % crc32(text))
    with pytest.raises(StorageError, match="not what was written") as raised:
        list(JsonLinesLog(tmp_path).read())
    assert raised.value.where == f"{segment}:2"


def test_a_crash_between_writing_parquet_and_removing_lines_doubles_nothing(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a")])
    lines = next(tmp_path.glob("*.log"))
    content = lines.read_bytes()
    compact(tmp_path, NOW)
    lines.write_bytes(content)
    assert [one.id for one in log.read()] == ["a"]
    compact(tmp_path, NOW)
    assert endings(tmp_path) == [".parquet"]


def test_a_segment_compacted_since_it_was_listed_is_read_in_its_new_form(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a", NOW)], [record("b", NOW + timedelta(days=2))])
    reading = log.read()
    assert next(reading).id == "a"
    compact(tmp_path, NOW)
    assert [one.id for one in reading] == ["b"]


def test_repair_cuts_off_a_torn_end_and_nothing_else(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a")], [record("b")])
    segment = next(tmp_path.glob("*.log"))
    whole = segment.read_bytes()
    with segment.open("ab") as file:
        file.write(b'{"id":"torn"}\n{"crc')
    assert repair(tmp_path) == 19
    assert segment.read_bytes() == whole
    assert [one.id for one in log.read()] == ["a", "b"]


def test_repair_leaves_the_segment_of_a_living_writer(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path)
    log.append([record("a")])
    segment = next(tmp_path.glob("*.log"))
    with segment.open("ab") as file:
        file.write(b'{"id":"under way"')
    assert repair(tmp_path) == 0
    log.close()


def test_a_damaged_segment_is_not_compacted_away(tmp_path: Path) -> None:
    written(tmp_path, [record("a")], [record("b")])
    segment = next(tmp_path.glob("*.log"))
    segment.write_bytes(segment.read_bytes().replace(b'"No"', b'"Ye"', 1))
    with pytest.raises(StorageError, match="not what was written"):
        compact(tmp_path, NOW)
    assert endings(tmp_path) == [".log"]


def test_files_of_earlier_versions_are_read_and_compacted_once_their_time_is_over(tmp_path: Path) -> None:
    lines = b"".join(msgspec.json.encode(record(name, age=7)) + b"\n" for name in "abc")
    (tmp_path / "20260301T1159_20260301T1301_01772368200000000000_0a1b2c3d.jsonl").write_bytes(lines + b'{"id":"torn')
    log = JsonLinesLog(tmp_path)
    assert list(log.read()) == [record(name, age=7) for name in "abc"]
    assert compact(tmp_path, NOW) == []
    assert log.frame(["id"])["id"].to_list() == ["a", "b", "c"]
    compact(tmp_path, NOW + timedelta(hours=3))
    assert endings(tmp_path) == [".parquet"]
    assert list(log.read()) == [record(name, age=7) for name in "abc"]


def test_what_is_older_than_is_kept_is_removed(tmp_path: Path) -> None:
    log = written(tmp_path, *([record(str(day), NOW + timedelta(days=day))] for day in range(5)))
    compact(tmp_path, NOW)
    expire(tmp_path, Keep(time=timedelta(days=2)), NOW + timedelta(days=4))
    assert [one.id for one in log.read()] == ["2", "3", "4"]


def test_the_oldest_are_removed_while_all_are_too_large(tmp_path: Path) -> None:
    log = written(tmp_path, *([record(str(day), NOW + timedelta(days=day))] for day in range(5)))
    compact(tmp_path, NOW)
    size = max(path.stat().st_size for path in tmp_path.glob("*.parquet"))
    expire(tmp_path, Keep(size=2 * size), NOW)
    assert [one.id for one in log.read()] == ["3", "4"]


def test_what_is_not_compacted_yet_is_never_removed(tmp_path: Path) -> None:
    log = written(tmp_path, [record("a")])
    expire(tmp_path, Keep(timedelta(0), 0), NOW + timedelta(days=100))
    assert [one.id for one in log.read()] == ["a"]


def test_parquet_is_what_others_can_read(tmp_path: Path) -> None:
    written(tmp_path, [record("a", age=3, plan="x")])
    (path,) = compact(tmp_path, NOW)
    found = pl.read_parquet(path)
    assert found["features.age"].to_list() == [3]
    assert found["time"].to_list() == [NOW]


def test_written_segments_reach_the_disk_within_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.set())
    log = JsonLinesLog(tmp_path, fsync=timedelta(seconds=0.01))
    log.append([record("a")])
    assert synced.wait(20)
    log.close()


def test_a_flush_that_failed_is_said_before_anything_else_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    log = JsonLinesLog(tmp_path, fsync=timedelta(seconds=0.01))
    log.append([record("a")])
    log.close()  # the flush has been by now
    with pytest.raises(StorageError, match="Input/output error"):
        log.append([record("b")])
    monkeypatch.undo()
    log.append([record("c")])
    assert [one.id for one in log.read()] == ["a", "c"]
    log.close()
