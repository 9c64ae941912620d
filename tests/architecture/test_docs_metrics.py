"""The page of metrics lists every metric with its type and its labels, and no other."""

from __future__ import annotations

import re
from typing import Any

from everfit.serving.metrics import ServingMetrics
from everfit.serving.watch_metrics import WatchMetrics
from tests.architecture.modules import ROOT
from tests.unit.test_watch_metrics import OBSERVED


def test_every_metric_is_listed_with_its_type_and_its_labels() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    listed = {
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", page, re.MULTILINE)
    }
    assert listed == {_shown(one) for one in (*ServingMetrics().collect(), *WatchMetrics(lambda: OBSERVED).collect())}


def _shown(family: Any) -> tuple[str, str, tuple[str, ...]]:
    return f"{family.name}{'_total' * (family.type == 'counter')}", family.type, tuple(family._labelnames)
