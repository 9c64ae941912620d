"""What every Tracker must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from everfit.ports import Tracker

AT = datetime(2026, 1, 1, tzinfo=UTC)


class TrackerContract:
    """The figures of looks stand below their version in the order of the looks, whoever opened the tracker."""

    def make(self, folder: Path) -> Tracker:
        """Opens the tracker in the folder."""
        raise NotImplementedError

    def shown(self, folder: Path, version: int) -> Mapping[str, Sequence[tuple[int, datetime, float]]]:
        """What the tracker in the folder shows of a version to its own clients: look, time and value of each figure."""
        raise NotImplementedError

    def test_looks_of_a_version_stand_together_in_order(self, tmp_path: Path) -> None:
        for look in (3, 4):
            at = AT + timedelta(hours=look)
            self.make(tmp_path).track(1, look, at, {"production_accuracy": 0.8 + look / 100, "drift_score": 0.0})
        found = self.shown(tmp_path, 1)
        assert found["production_accuracy"] == [(look, AT + timedelta(hours=look), 0.8 + look / 100) for look in (3, 4)]
        assert len(found["drift_score"]) == 2

    def test_versions_are_kept_apart(self, tmp_path: Path) -> None:
        tracker = self.make(tmp_path)
        tracker.track(1, 1, AT, {"drift_score": 0.1})
        tracker.track(2, 2, AT, {"drift_score": 0.2})
        assert [self.shown(tmp_path, version)["drift_score"][0][2] for version in (1, 2)] == [0.1, 0.2]
