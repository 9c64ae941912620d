"""MLflow's scoring protocol: what `mlflow models serve` takes, so that its clients and platforms work unchanged."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from everfit.errors import RequestError
from everfit.project.sections.serving import Limits
from everfit.records.prediction import Prediction
from everfit.serving.body import Headers, check_rows, decode_json
from everfit.serving.rows import RawRow

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def rows(headers: Headers, body: bytes, limits: Limits, required: Sequence[str]) -> list[RawRow]:
    """The rows of a request: JSON with one of MLflow's four names, or CSV with a header. Lists of values stand for the
    `required` columns in their order. Raises RequestError and TooLarge, HTTPException 415 for another content type."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in (b"application/json", b"text/csv") or b"content-encoding" in headers:
        raise HTTPException(415, "the body must be `Content-Type: application/json` or `text/csv`, not compressed")
    found = _of_csv(body, limits) if kind == b"text/csv" else _of_json(decode_json(body, limits), required)
    if not found:
        raise _wrong("body", "holds no row")
    check_rows(len(found), "rows", limits)
    return found


def shape(prediction: Prediction, score: str) -> dict[str, Any]:
    """One prediction with the names that the model has as an MLflow model, and its id.

    >>> shape(Prediction("0191", None, "Yes", 0.7, None, 3, "champion"), "churn_probability")
    {'id': '0191', 'prediction': 'Yes', 'churn_probability': 0.7}
    """
    shares = {f"probability_{name}": share for name, share in (prediction.probabilities or {}).items()}
    return {"id": prediction.id, "prediction": prediction.prediction, score: prediction.score, **shares}


def _of_csv(body: bytes, limits: Limits) -> list[RawRow]:
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        found: list[RawRow] = []
        for row in reader:
            check_rows(len(found) + 1, "rows", limits)
            found.append({name: value or None for name, value in row.items() if name is not None})
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong("body", f"is no CSV: {error}") from error
    return found


def _of_json(value: object, required: Sequence[str]) -> list[RawRow]:
    given = [name for name in _FORMS if isinstance(value, dict) and name in value]
    if len(given) != 1 or not isinstance(value, dict):
        raise _wrong("body", f"must be an object with one of {', '.join(_FORMS)}")
    name, content = given[0], value[given[0]]
    if name == "dataframe_split":
        return _split(content)
    if name == "inputs" and isinstance(content, dict):
        return _columns(content)
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return content
    if isinstance(content, list) and all(isinstance(row, list) and len(row) == len(required) for row in content):
        return [dict(zip(required, row, strict=True)) for row in content]
    raise _wrong(name, f"must hold objects, or lists of {len(required)} values: {', '.join(required)}")


def _split(content: object) -> list[RawRow]:
    columns = content.get("columns") if isinstance(content, dict) else None
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _wrong("dataframe_split", "needs `columns`, a list of names")
    if not isinstance(data, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        raise _wrong("dataframe_split", f"needs `data`, lists of {len(columns)} values each")
    return [dict(zip(columns, row, strict=True)) for row in data]


def _columns(content: Mapping[str, Any]) -> list[RawRow]:
    """Columns of equal length, or one row."""
    if not any(isinstance(values, list) for values in content.values()):
        return [content]
    listed = [values if isinstance(values, list) else [values] for values in content.values()]
    if len({len(values) for values in listed}) != 1:
        raise _wrong("inputs", "every column needs the same number of values")
    return [dict(zip(content, values, strict=True)) for values in zip(*listed, strict=True)]


def _wrong(where: str, what: str) -> RequestError:
    return RequestError(f"{where}: {what}", where=where, fix="see MLflow's description of /invocations")
