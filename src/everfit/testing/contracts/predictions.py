"""What every PredictionLog must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import polars as pl
import pytest
from msgspec.structs import replace

from everfit.ports import PredictionLog
from everfit.records.prediction import PredictionBatch, PredictionRecord
from everfit.records.table import Kind
from everfit.testing.contracts.processes import Make, killed

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_KINDS = {"age": Kind.NUMERIC, "city": Kind.CATEGORICAL, "never": Kind.NUMERIC}
_SCHEMA = {
    "version": pl.Int64,
    "id": pl.String,
    "entity": pl.String,
    "score": pl.Float64,
    "error": pl.String,
    "features.age": pl.Float64,
    "features.city": pl.String,
    "features.never": pl.Float64,
}


class _Columns:
    """What `frame` says is what `read` says."""

    def make(self, folder: Path) -> PredictionLog:
        """Opens the log in the folder."""
        raise NotImplementedError

    def test_columns_say_what_the_records_say(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        failed = PredictionRecord("f", _NOON, None, {}, {}, "challenger", 2, None, None, 0.5, error="division\nby zero")
        log.append([*(_record(i) for i in range(6)), failed])
        found = log.frame(["version", "id", "entity", "score", "error"], features=_KINDS)
        assert found.rows(named=True) == [_columns(record) for record in log.read()]
        assert found.schema == _SCHEMA

    def test_columns_of_a_window_are_those_of_its_records(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(i) for i in range(5)])
        times = [_record(i).time for i in range(5)]
        assert log.frame(["id"], since=times[1], until=times[3])["id"].to_list() == ["p1", "p2"]
        assert log.frame(["time"], since=times[3])["time"].to_list() == times[3:]

    def test_what_callers_sent_is_there_beside_what_the_model_read(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(1)])
        sent = {"age": Kind.NUMERIC, "paid": Kind.BOOLEAN, "city": Kind.CATEGORICAL, "never": Kind.NUMERIC}
        found = log.frame(["id"], features={"age": Kind.NUMERIC}, inputs=sent)
        city = str(_record(1).input["city"])
        assert found.columns == ["id", "features.age", "input.age", "input.paid", "input.city", "input.never"]
        assert found.rows() == [("p1", 1.0, 1.0, "false", city, None)]

    def test_the_probabilities_of_several_classes_are_columns_too(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_several({"low": 0.25, "high": 0.75}), _record(1), _several({"low": 0.5, "new": 0.5})])
        found = log.frame(["id"], classes=["high", "low", "never"])
        assert found.columns == ["id", "probabilities.high", "probabilities.low", "probabilities.never"]
        assert found.rows() == [("p1", 0.75, 0.25, None), ("p1", None, None, None), ("p1", None, 0.5, None)]
        assert found.dtypes[1:] == [pl.Float64] * 3

    def test_columns_of_an_empty_log_have_their_types(self, tmp_path: Path) -> None:
        found = self.make(tmp_path).frame(["version", "id", "entity", "score", "error"], features=_KINDS)
        assert found.is_empty()
        assert found.schema == _SCHEMA

    def test_classes_and_numbers_predicted_are_text(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(0), _record(1)])
        assert log.frame(["prediction"])["prediction"].to_list() == ["12.5", "Yes"]

    def test_rows_that_were_answered_together_are_rows_of_their_own(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(0), _BATCH, _record(1)])
        fields = ["id", "time", "entity", "arm", "version", "score", "prediction", "latency", "error"]
        kinds = {"age": Kind.NUMERIC, "city": Kind.CATEGORICAL, "never": Kind.NUMERIC}
        found = log.frame(fields, features=kinds, inputs=kinds, classes=["low"])
        (*_, a, b) = found[:3].iter_rows()
        read, answer = ("champion", 3), (0.001, None)
        assert a == ("a", _NOON, "c-1", *read, 0.25, "No", *answer, 7.0, "x", None, 7.0, "x", None, 0.75)
        assert b == ("b", _NOON, None, *read, 0.5, "Yes", *answer, None, "y", None, None, "y", None, 0.5)
        singles = log.frame(fields, features=kinds, inputs=kinds)
        assert singles["id"].to_list() == ["p0", "a", "b", "p1"]
        assert singles.equals(found.drop("probabilities.low"))

    def test_an_unknown_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="features"):
            self.make(tmp_path).frame(["features"])


class PredictionLogContract(_Columns):
    """Records in the order written, by rows and by columns; what was acknowledged survives kill -9."""

    def test_records_come_back_as_they_were_in_order(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(2), _record(0)])
        log.append([])
        log.append([_record(1)])
        assert list(log.read()) == [_record(2), _record(0), _record(1)]

    def test_the_probabilities_of_several_classes_come_back(self, tmp_path: Path) -> None:
        log, records = self.make(tmp_path), [_several({"low": 0.25, "high": 0.75}), _record(0), _several({})]
        log.append(records)
        assert list(log.read()) == records

    def test_rows_that_were_answered_together_come_back_one_by_one(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(0), _BATCH])
        log.append([_BATCH])
        log.append([_record(1)])
        rows = list(_BATCH.records())
        assert [(row.id, row.input, row.features) for row in rows] == [
            ("a", {"age": 7, "city": "x", "flag": "Yes"}, {"age": 7.0, "city": "x", "flag": 1.0}),
            ("b", {"age": None, "city": "y", "flag": "No"}, {"age": None, "city": "y", "flag": 0.0}),
        ]
        assert list(log.read()) == [_record(0), *rows, *rows, _record(1)]
        assert list(log.read(since=_NOON + timedelta(seconds=1))) == [_record(1)]
        assert list(log.read(until=_NOON + timedelta(seconds=1))) == [_record(0), *rows, *rows]

    def test_empty_log_has_no_records(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path).read()) == []

    def test_since_is_within_and_until_is_not(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.append([_record(i) for i in range(5)])
        times = [_record(i).time for i in range(5)]
        assert list(log.read(since=times[1], until=times[3])) == [_record(1), _record(2)]
        assert list(log.read(since=times[3])) == [_record(3), _record(4)]
        assert list(log.read(until=times[1])) == [_record(0)]

    def test_failed_predictions_keep_their_error(self, tmp_path: Path) -> None:
        failed = PredictionRecord("f", _NOON, None, {}, {}, "challenger", 2, None, None, 0.5, error="division\nby zero")
        log = self.make(tmp_path)
        log.append([failed])
        assert list(log.read()) == [failed]

    def test_records_are_there_after_opening_again(self, tmp_path: Path) -> None:
        for i in range(3):
            self.make(tmp_path).append([_record(i)])
        assert list(self.make(tmp_path).read()) == [_record(i) for i in range(3)]

    def test_threads_that_append_at_once_lose_nothing(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: log.append([_record(2 * i), _record(2 * i + 1)]), range(50)))
        assert sorted(record.id for record in log.read()) == sorted(_record(i).id for i in range(100))

    def test_tending_changes_no_record(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        log.tend()
        log.append([_record(0)])
        self.make(tmp_path).tend()
        log.append([_record(1)])
        assert list(log.read()) == [_record(0), _record(1)]

    @pytest.mark.parametrize("seed", range(3))
    def test_what_was_acknowledged_survives_kill_9(self, tmp_path: Path, seed: int) -> None:
        random = Random(seed)
        acknowledged = killed(_append_on, self.make, tmp_path, random.randrange(1, 60), random.random() / 50)
        log = self.make(tmp_path)
        found = list(log.read())
        assert found == [_record(i) for i in range(len(found))]
        assert len(found) - len(acknowledged) in (0, 1)
        log.append([_record(len(found))])
        assert list(log.read()) == [*found, _record(len(found))]


def _record(i: int) -> PredictionRecord:
    text = f'Zoë "{i}"\n' * (i % 5)
    return PredictionRecord(
        id=f"p{i}",
        time=_NOON + timedelta(seconds=i),
        entity=f"customer-{i}",
        input={"age": i, "city": text, "paid": i % 2 == 0, "none": None},
        features={"age": float(i), "city": text},
        arm="champion",
        version=1,
        score=i / 7,
        prediction="Yes" if i % 2 else 12.5,
        latency=0.001,
    )


_BATCH = PredictionBatch(
    ids=["a", "b"],
    time=_NOON,
    entities=["c-1", None],
    input={"age": [7, None], "city": ["x", "y"], "flag": ["Yes", "No"]},
    features={"age": None, "city": None, "flag": [1.0, 0.0]},
    arm="champion",
    version=3,
    scores=[0.25, 0.5],
    predictions=["No", "Yes"],
    latency=0.001,
    probabilities={"low": [0.75, 0.5]},
)


def _several(probabilities: dict[str, float]) -> PredictionRecord:
    return replace(_record(1), probabilities=probabilities)


def _columns(record: PredictionRecord) -> dict[str, object]:
    fields = {name: getattr(record, name) for name in ("version", "id", "entity", "score", "error")}
    return fields | {f"features.{name}": record.features.get(name) for name in _KINDS}


def _append_on(make: Make, folder: Path, _: int, pipe: Connection) -> None:
    log, number = make(folder), 0
    while True:
        log.append([_record(number)])
        pipe.send(number)
        number += 1
