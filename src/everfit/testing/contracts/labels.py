"""What every LabelStore must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from everfit.ports import LabelStore
from everfit.records.prediction import Label
from everfit.testing.labels import latest

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_FIRST = Label("p1", "Yes", _NOON)
_CORRECTED = Label("p1", "No", _NOON + timedelta(days=1))


class _Reading:
    """By records, by columns, and in part."""

    def make(self, folder: Path) -> LabelStore:
        """Opens the store in the folder."""
        raise NotImplementedError

    def test_columns_say_what_the_labels_say(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        odd = 'tab\tline\nquote" \\ Zoë'
        store.put(
            [_FIRST, _CORRECTED, Label(odd, odd, _NOON), Label("p2", 0.1 + 0.2, _NOON), Label("p3", -1e-300, _NOON)]
        )
        found = store.frame()
        assert found.columns == ["prediction_id", "known_at", "stored_at", "place", "value", "number"]
        assert found.select("prediction_id", "known_at", "value", "number").rows() == [
            ("p1", _CORRECTED.known_at, "No", None),
            (odd, _NOON, odd, None),
            ("p2", _NOON, None, 0.1 + 0.2),
            ("p3", _NOON, None, -1e-300),
        ]

    def test_of_labels_stored_since_a_time_none_is_missing(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put([replace(_FIRST, stored_at=_NOON), Label("p2", "No", _NOON, stored_at=_NOON + timedelta(days=3))])
        assert list(latest(store, _NOON + timedelta(days=1))) == ["p2"]
        assert list(latest(store, _NOON)) == ["p1", "p2"]
        store.put([replace(_CORRECTED, stored_at=_NOON + timedelta(days=4))])
        assert store.frame(_NOON + timedelta(days=2))["value"].to_list() == ["No", "No"]
        assert latest(store)["p1"].stored_at == _NOON + timedelta(days=4)


class LabelStoreContract(_Reading):
    """Labels by prediction id: idempotent, corrections kept, the label known last counts."""

    def test_empty_store_knows_no_label(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.put([]) == 0
        assert dict(latest(store)) == {}
        assert store.frame().is_empty()

    def test_labels_come_back_as_they_were(self, tmp_path: Path) -> None:
        labels = [_FIRST, Label("p2", 12.5, _NOON), Label("p3", "1.0", _NOON + timedelta(microseconds=1))]
        store = self.make(tmp_path)
        assert store.put(labels) == 3
        assert dict(latest(store)) == {label.prediction_id: label for label in labels}

    def test_places_grow_in_the_order_of_arrival_whenever_it_was_learned(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put([Label("p1", "Yes", _NOON)])
        before = latest(store)["p1"].place
        store.put([Label("p2", "Yes", _NOON - timedelta(days=9))])
        assert 0 < before < latest(store)["p2"].place

    def test_the_same_label_again_changes_nothing(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.put([_FIRST, _FIRST]) == 1
        elsewhere = replace(_FIRST, known_at=_NOON.astimezone(timezone(timedelta(hours=5))))
        assert store.put(label for label in [elsewhere, Label("p2", 3.0, _NOON)]) == 1
        assert store.put([Label("p2", 3.0, _NOON)]) == 0

    def test_the_same_truth_learned_again_is_no_news(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put([_FIRST])
        assert store.put([replace(_FIRST, known_at=_NOON + timedelta(hours=1))]) == 0
        assert latest(store)["p1"] == _FIRST
        store.put([_CORRECTED])
        back = replace(_FIRST, known_at=_NOON + timedelta(days=2))
        assert store.put([back]) == 1
        assert latest(store)["p1"] == back

    def test_the_label_known_last_counts_in_whatever_order_they_arrive(self, tmp_path: Path) -> None:
        for number, labels in enumerate(([_FIRST, _CORRECTED], [_CORRECTED, _FIRST])):
            store = self.make(tmp_path / str(number))
            assert [store.put([label]) for label in labels] == [1, 1]
            assert dict(latest(store)) == {"p1": _CORRECTED}

    def test_a_corrected_label_is_kept_and_does_not_come_back(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put([_FIRST, _CORRECTED])
        assert store.put([_FIRST]) == 0
        assert latest(store)["p1"] == _CORRECTED

    def test_predictions_that_have_a_label_are_counted_once(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.count() == 0
        store.put([_FIRST, _CORRECTED, Label("p2", 1.0, _NOON)])
        assert store.count() == 2

    def test_text_and_number_are_different_values(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).put([Label("p1", "1.0", _NOON), Label("p1", 1.0, _NOON)]) == 2

    def test_labels_are_there_after_opening_again(self, tmp_path: Path) -> None:
        self.make(tmp_path).put([_FIRST])
        assert dict(latest(self.make(tmp_path))) == {"p1": _FIRST}

    def test_threads_that_put_the_same_labels_count_each_once(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        labels = [Label(f"p{i}", "Yes", _NOON) for i in range(100)]
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(store.put, [labels] * 8)) == 100
        assert len(latest(store)) == 100
