"""Labels as they come back from callers: which prediction, and what turned out to be true."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from everfit.data.target import encode
from everfit.errors import ChecksFailed, RequestError, SourceError
from everfit.records.model import Manifest
from everfit.records.prediction import Label
from everfit.records.table import Task

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELDS = frozenset({"prediction_id", "value"})


def labels(
    items: Sequence[Mapping[str, object]], manifest: Manifest, called: Mapping[str, str], now: datetime
) -> list[Label]:
    """The labels of a request, known from `now` on. A class may be given by its own name, in the other spellings of
    its truth (`true`, 1) or as answers call it (`called`, class to name). Raises RequestError for the first item that
    is no label."""
    originals = {shown: name for name, shown in called.items()}
    return [_label(place, item, manifest, originals, now) for place, item in enumerate(items)]


def _label(
    place: int, item: Mapping[str, object], manifest: Manifest, originals: Mapping[str, str], now: datetime
) -> Label:
    if item.keys() != _FIELDS:
        raise _wrong(place, "prediction_id", "a label has exactly the fields prediction_id and value")
    identity, value = item["prediction_id"], item["value"]
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise _wrong(place, "prediction_id", "is not the id of an answer")
    if not isinstance(value, (str, int, float)):
        raise _wrong(place, "value", "is neither a text nor a number")
    return Label(
        identity,
        _truth(place, originals.get(value, value) if isinstance(value, str) else value, manifest),
        now,
        stored_at=now,
    )


def _truth(place: int, value: str | float, manifest: Manifest) -> str | float:
    if manifest.task is Task.REGRESSION and isinstance(value, bool):
        raise _wrong(place, "value", "is not a number")
    try:
        frame = pl.DataFrame({"value": [value]})
        code = encode(frame, "value", manifest.classes, manifest.task)[0]
    except (SourceError, ChecksFailed, OverflowError, pl.exceptions.PolarsError) as error:
        wanted = "a finite number" if manifest.task is Task.REGRESSION else "one of " + ", ".join(manifest.classes)
        raise _wrong(place, "value", f"is not {wanted}") from error
    return float(code) if manifest.task is Task.REGRESSION else manifest.classes[code]


def _wrong(place: int, field: str, what: str) -> RequestError:
    return RequestError(
        f"labels[{place}].{field}: {what}",
        where=f"labels[{place}].{field}",
        fix='send {"prediction_id": the id of an answer, "value": what turned out to be true}',
    )
