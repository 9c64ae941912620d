"""The online store follows the table, once for each content, and serves any version."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.unit.flow_places import Place

from everfit.adapters.features import sqlite
from everfit.adapters.features.sqlite import SqliteOnline
from everfit.data.schema import infer
from everfit.flow import online
from everfit.flow.graph import step
from everfit.flow.run import Given, Run
from everfit.records.model import Problem
from everfit.records.table import Schema, Task


def table(raw: pl.DataFrame) -> pl.DataFrame:
    return raw


def columns(table: pl.DataFrame) -> Schema:
    return infer(table)


def problem(target: str) -> Problem:
    return Problem(Task.BINARY, target, ("No", "Yes"), "roc_auc")


RAW = pl.DataFrame({"id": ["a", "b", "a", None], "age": [1, 2, 3, 4], "spare": ["x"] * 4, "churn": ["Yes"] * 4})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ran(place: Place, raw: pl.DataFrame, target: str = "churn") -> Run:
    given = Given(raw, raw.write_json())
    return place.run(step(table), step(columns), step(problem), raw=given, target=target)


def test_the_last_row_of_each_entity_is_there_without_its_target(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    assert online.materialize(store, place.state, ran(place, RAW), "id") == 2
    assert store.get("a") == {"id": "a", "age": 3, "spare": "x"}


def test_the_same_table_is_stored_once_and_a_changed_one_again(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    stored = [
        online.materialize(store, place.state, ran(place, raw), "id")
        for raw in (RAW, RAW, RAW.with_columns(pl.col("age") + 1), RAW)
    ]
    assert stored == [2, 0, 2, 2]


def test_rows_without_an_entity_are_not_stored(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    assert online.materialize(store, place.state, ran(place, RAW), None) == 0
    assert store.get("a") is None


def test_another_entity_or_target_of_the_same_table_is_stored_anew(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    online.materialize(store, place.state, ran(place, RAW), "id")
    assert online.materialize(store, place.state, ran(place, RAW, "spare"), "id") == 2
    assert store.get("a") == {"id": "a", "age": 3, "churn": "Yes"}
    assert online.materialize(store, place.state, ran(place, RAW, "spare"), "age") == 4


def test_whole_floats_are_found_under_whole_numbers(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    online.materialize(store, place.state, ran(place, RAW.with_columns(pl.Series("id", [7.0, 8.0, 7.0, None]))), "id")
    assert store.get("7") == {"id": "7", "age": 3, "spare": "x"}


def test_texts_of_numbers_are_stored_as_numbers_and_what_is_none_as_it_came(place: Place, tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    texts = RAW.with_columns(
        pl.Series("age", ["1", "2.5", " ", None]),
        pl.Series("spare", ["1", "x", "2", "y"]),
        pl.Series("code", ["7", "7", "none", "8"]),
    )
    online.materialize(store, place.state, ran(place, texts), "id")
    assert store.get("b") == {"id": "b", "age": 2.5, "spare": "x", "code": 7.0}
    assert store.get("a") == {"id": "a", "age": None, "spare": "2", "code": None}


def test_of_equal_entities_the_last_row_wins_also_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PIECE", 2)
    store = SqliteOnline(tmp_path / "online.db")
    assert store.put("id", pl.DataFrame({"id": ["b", "a", "a", None, "b"], "age": [1, 2, 3, 4, 5]})) == 2
    assert [store.get(name) for name in ("a", "b")] == [{"id": "a", "age": 3}, {"id": "b", "age": 5}]
