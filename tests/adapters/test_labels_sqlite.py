from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.errors import RequestError
from everfit.records.prediction import Label
from everfit.testing.contracts import LabelStoreContract
from everfit.testing.labels import latest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class TestSqliteLabels(LabelStoreContract):
    def make(self, folder: Path) -> SqliteLabels:
        return SqliteLabels(folder / "labels.db")


@pytest.mark.parametrize("label", [Label("p2", "Yes", NOON.replace(tzinfo=None)), Label("p2", math.nan, NOON)])
def test_unusable_label_is_refused_by_name_and_nothing_is_stored(tmp_path: Path, label: Label) -> None:
    store = SqliteLabels(tmp_path / "labels.db")
    with pytest.raises(RequestError, match="p2"):
        store.put([Label("p1", "Yes", NOON), label])
    assert dict(latest(store)) == {}


def test_of_labels_known_at_the_same_time_the_one_stored_last_counts(tmp_path: Path) -> None:
    store = SqliteLabels(tmp_path / "labels.db")
    for value in ("Yes", "No", "Yes"):
        store.put([Label("p1", value, NOON)])
    assert latest(store)["p1"].value == "No"


def test_whole_numbers_count_as_numbers(tmp_path: Path) -> None:
    store = SqliteLabels(tmp_path / "labels.db")
    assert [store.put([Label("p1", value, NOON)]) for value in (1, 1.0)] == [1, 0]
