"""Truths from a table to the label store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec import structs
from tests.unit.serving_models import MemoryLog, model

from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.errors import SourceError
from everfit.flow import labels
from everfit.records.prediction import MIRRORED, Label, PredictionRecord
from everfit.serving.identity import new_id
from everfit.testing.labels import latest

NOW = datetime(2026, 2, 1, tzinfo=UTC)
EARLIER = datetime(2026, 1, 20, 12, tzinfo=UTC)


def record(identity: str, entity: str | None, error: str | None = None) -> PredictionRecord:
    return PredictionRecord(identity, EARLIER, entity, {}, {}, "champion", 1, 0.5, "Yes", 0.001, error)


RECORDS = [record("p1", "ann"), record("p2", "bob"), record("p3", "ann"), record("p4", "ann", "failed")]


@pytest.fixture
def store(tmp_path: Path) -> SqliteLabels:
    return SqliteLabels(tmp_path / "labels.db")


def put(store: SqliteLabels, table: pl.DataFrame, target: str = "Churn") -> labels.Labelled:
    about = model(target).manifest
    return labels.store(table, MemoryLog(RECORDS), store, about, NOW)


def test_labels_by_prediction(store: SqliteLabels) -> None:
    found = put(store, pl.DataFrame({"prediction_id": ["p1", "p2", "other"], "Churn": ["Yes", "No", "No"]}))
    assert found == labels.Labelled(3, 2, 2)
    assert latest(store) == {"p1": Label("p1", "Yes", NOW), "p2": Label("p2", "No", NOW)}


def test_labels_by_entity_belong_to_its_newest_answer(store: SqliteLabels) -> None:
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"]})
    assert put(store, table) == labels.Labelled(1, 1, 1, ambiguous=1)
    assert list(latest(store)) == ["p3"]


def test_the_newest_answer_is_the_latest_in_time_however_the_log_has_it(store: SqliteLabels) -> None:
    server = structs.replace(record("p5", "ann"), time=EARLIER + timedelta(minutes=9))
    batch = structs.replace(
        record("p6", "ann"), time=EARLIER + timedelta(minutes=3)
    )  # in a segment that was opened later
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"]})
    labels.store(table, MemoryLog([*RECORDS, server, batch]), store, model().manifest, NOW)
    assert list(latest(store)) == ["p5"]


def test_an_entity_may_be_called_id_as_predictions_are(store: SqliteLabels) -> None:
    about = replace(model().manifest, entity="id")
    table = pl.DataFrame({"id": ["ann", "p2"], "Churn": ["Yes", "No"]})
    assert labels.store(table, MemoryLog(RECORDS), store, about, NOW).matched == 2
    assert set(latest(store)) == {"p3", "p2"}


def test_the_same_table_twice_changes_nothing(store: SqliteLabels) -> None:
    table = pl.DataFrame({"id": ["p1"], "value": ["Yes"], "known_at": ["2026-01-25T00:00:00"]})
    assert [put(store, table).new for _ in range(2)] == [1, 0]
    assert latest(store)["p1"].known_at == datetime(2026, 1, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "known",
    [
        pl.Series(["2026-01-25T10:00:00+02:00"]),
        pl.Series(["2026-01-25T08:00:00"]),
        pl.Series([datetime(2026, 1, 25, 8, tzinfo=UTC)]),
        pl.Series([datetime(2026, 1, 25, 8)]),  # noqa: DTZ001  a table's time without a zone is UTC
    ],
)
def test_when_it_was_known(store: SqliteLabels, known: pl.Series) -> None:
    put(store, pl.DataFrame({"id": ["p1"], "value": ["Yes"], "known_at": known}))
    assert latest(store)["p1"].known_at == datetime(2026, 1, 25, 8, tzinfo=UTC)


def test_rows_without_a_truth_are_passed_over(store: SqliteLabels) -> None:
    found = put(store, pl.DataFrame({"id": ["p1", "p2"], "Churn": [None, "No"]}))
    assert found == labels.Labelled(2, 1, 1)


@pytest.mark.parametrize(
    "columns", [{"prediction_id": ["p1"]}, {"Churn": ["Yes"]}, {"name": ["ann"], "Churn": ["Yes"]}]
)
def test_a_table_of_another_form_is_refused(store: SqliteLabels, columns: dict[str, list[str]]) -> None:
    with pytest.raises(SourceError, match="needs `prediction_id` or `customerID`, and `Churn` or `value`"):
        put(store, pl.DataFrame(columns))


def test_a_time_that_is_none_is_refused_and_no_label_stored(store: SqliteLabels) -> None:
    table = pl.DataFrame({"id": ["p1", "p2"], "Churn": ["Yes", "No"], "known_at": ["2026-01-25", "soon"]})
    with pytest.raises(SourceError, match="'soon' is no time"):
        put(store, table)
    assert latest(store) == {}


def test_a_truth_is_stored_under_the_name_of_its_class_however_it_is_spelled(store: SqliteLabels) -> None:
    put(store, pl.DataFrame({"id": ["p1", "p2", "p3"], "Churn": ["yes", "0", None]}))
    assert {key: label.value for key, label in latest(store).items()} == {"p1": "Yes", "p2": "No"}


def test_a_truth_of_no_class_is_refused_with_its_row_and_none_is_stored(store: SqliteLabels) -> None:
    with pytest.raises(SourceError, match="'Maybe' is not one of the classes") as caught:
        put(store, pl.DataFrame({"id": ["p1", "p2", "p3"], "Churn": ["Yes", "Maybe", "No"]}))
    assert caught.value.where.endswith("row 2")
    assert latest(store) == {}


def test_a_number_is_demanded_where_numbers_are_predicted(store: SqliteLabels) -> None:
    put(store, pl.DataFrame({"id": ["p1", "p2"], "value": ["1.5", "2"]}), "risk")
    assert [label.value for label in latest(store).values()] == [1.5, 2.0]
    with pytest.raises(SourceError, match="'much' is not a finite number"):
        put(store, pl.DataFrame({"id": ["p1", "p2"], "value": ["1.5", "much"]}), "risk")


def test_a_table_without_any_truth_stores_nothing(store: SqliteLabels) -> None:
    assert put(store, pl.DataFrame({"id": ["p1"], "Churn": [None]})) == labels.Labelled(1, 0, 0)


def test_a_label_belongs_to_the_answer_and_not_to_the_shadow_of_it(store: SqliteLabels) -> None:
    shadow = structs.replace(record(f"p3{MIRRORED}", "ann"), version=2, time=EARLIER + timedelta(seconds=1))
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"]})
    labels.store(table, MemoryLog([*RECORDS, shadow]), store, model().manifest, NOW)
    assert list(latest(store)) == ["p3"]


def at(days: float, identity: str, entity: str) -> PredictionRecord:
    return structs.replace(record(identity, entity), time=EARLIER + timedelta(days=days))


SEQUENCE = [at(0, "a0", "ann"), at(2, "a2", "ann"), at(5, "a5", "ann"), at(1, "b1", "bob")]


def join(store: SqliteLabels, table: pl.DataFrame, time: str | None = None, within: float = 3) -> labels.Labelled:
    reach = labels.Reach(time, timedelta(days=within))
    return labels.store(table, MemoryLog(SEQUENCE), store, model().manifest, NOW, reach)


def day(days: float) -> str:
    return (EARLIER + timedelta(days=days)).isoformat()


def test_a_truth_with_a_time_is_about_the_entitys_last_prediction_before_it(store: SqliteLabels) -> None:
    table = pl.DataFrame({"customerID": ["ann", "bob"], "Churn": ["Yes", "No"], "time": [day(4), day(1)]})
    assert join(store, table, within=1.5) == labels.Labelled(2, 1, 1)
    assert list(latest(store)) == ["b1"]
    assert join(store, table, within=3) == labels.Labelled(2, 2, 1)
    assert set(latest(store)) == {"b1", "a2"}


def test_that_an_earlier_prediction_could_be_meant_too_is_told(store: SqliteLabels) -> None:
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"], "time": [day(6)]})
    assert join(store, table, within=4.5).ambiguous == 1
    assert join(store, table, within=3.5).ambiguous == 0
    assert list(latest(store)) == ["a5"]


def test_the_time_may_be_in_the_projects_own_column(store: SqliteLabels) -> None:
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"], "left_at": [day(3)]})
    join(store, table, time="left_at")
    assert list(latest(store)) == ["a2"]


def test_without_a_time_the_last_prediction_before_the_truth_was_known_is_meant(store: SqliteLabels) -> None:
    table = pl.DataFrame({"customerID": ["ann"], "Churn": ["Yes"], "known_at": [day(1)]})
    assert join(store, table) == labels.Labelled(1, 1, 1)
    assert list(latest(store)) == ["a0"]


def test_rows_that_contradict_each_other_are_told_and_the_last_counts(store: SqliteLabels) -> None:
    table = pl.DataFrame({"id": ["a0", "a0", "b1"], "Churn": ["Yes", "No", "No"], "known_at": [day(9)] * 3})
    assert join(store, table) == labels.Labelled(3, 3, 3, conflicting=1)
    assert latest(store)["a0"].value == "No"


def test_only_the_time_that_the_ids_name_is_looked_through(store: SqliteLabels) -> None:
    class Asked(MemoryLog):
        since: datetime | None = None

        def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
            self.since = since
            return super().read(since, until)

    name = new_id(EARLIER)
    log = Asked([record(name, "ann")])
    table = pl.DataFrame({"id": [name], "Churn": ["Yes"]})
    assert labels.store(table, log, store, model().manifest, NOW).matched == 1
    assert log.since == EARLIER - timedelta(seconds=1)


def test_both_times_are_kept(store: SqliteLabels) -> None:
    put(store, pl.DataFrame({"id": ["p1"], "value": ["Yes"], "known_at": ["2026-01-25"]}))
    kept = latest(store)["p1"]
    assert (kept.known_at, kept.stored_at) == (datetime(2026, 1, 25, tzinfo=UTC), NOW)
