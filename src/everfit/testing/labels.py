"""Labels of a store as records, for tests: everfit itself reads them by columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from everfit.ports import LabelStore
from everfit.records.prediction import Label

_FIELDS = ("prediction_id", "value", "number", "known_at", "place", "stored_at")


def latest(store: LabelStore, since: datetime | None = None) -> Mapping[str, Label]:
    """For each prediction id the label known last, in the order of arrival; of those stored at `since` or later."""
    return {
        name: Label(name, number if value is None else value, known, place, stored)
        for name, value, number, known, place, stored in store.frame(since).select(_FIELDS).iter_rows()
    }
