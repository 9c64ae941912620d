from __future__ import annotations

from pathlib import Path

from everfit.serving.log import JsonLinesLog
from everfit.testing.contracts import PredictionLogContract


class TestJsonLinesLog(PredictionLogContract):
    def make(self, folder: Path) -> JsonLinesLog:
        return JsonLinesLog(folder / "log")
