"""What arrays of values may be, after a feature function returned them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.table import Kind, Schema

Array = NDArray[Any]


def normalised(result: object, rows: int) -> Array:
    """The result as float64 (missing and infinite values NaN) or as object array of str and None, of shape (rows,).

    A single value stands for every row. Raises ValueError, worded to follow the feature's name.

    >>> normalised(np.array([True, False]), 2)
    array([1., 0.])
    >>> normalised("new", 2)
    array(['new', 'new'], dtype=object)
    """
    if result is None:
        raise ValueError("returned nothing")
    array = np.asarray(result)
    if array.ndim == 0:
        array = np.full(rows, array[()], dtype=object if array.dtype.kind in "OUT" else array.dtype)
    if array.shape != (rows,):
        raise ValueError(f"returned the shape {array.shape} for {rows} rows")
    return _typed(array)


def kinds(features: Mapping[str, Array], schema: Schema) -> dict[str, Kind]:
    """The kind of each feature: a column's own, and for a function's result NUMERIC (floats) or CATEGORICAL (texts).

    >>> kinds({"f": np.array([1.0]), "g": np.array(["a"], dtype=object)}, Schema(()))
    {'f': <Kind.NUMERIC: 'numeric'>, 'g': <Kind.CATEGORICAL: 'categorical'>}
    """
    known = {column.name: column.kind for column in schema.columns}
    return {name: known.get(name, _kind(array)) for name, array in features.items()}


def _kind(array: Array) -> Kind:
    return Kind.CATEGORICAL if array.dtype.kind == "O" else Kind.NUMERIC


def _typed(array: Array) -> Array:
    code = array.dtype.kind
    if code in "biuf":
        return _finite(array)
    if code in "UT":
        return array.astype(object)
    if code == "O":
        return _objects(array)
    if code in "mM":
        raise ValueError(f"returned {array.dtype}; divide a duration by np.timedelta64(1, 'D') to make it a number")
    raise ValueError(f"returned values of type {array.dtype}")


def _finite(array: Array) -> NDArray[np.float64]:
    values = array.astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _objects(array: Array) -> Array:
    """Texts stay, with every missing value as None; numbers in an object array become floats."""
    types = set(map(type, array))
    if any(issubclass(t, str) for t in types):
        return _texts(array)
    if any(not issubclass(t, (type(None), bool, int, float, np.number, np.bool_)) for t in types):
        raise ValueError("returned values of the types " + ", ".join(sorted(t.__name__ for t in types)))
    if types <= {type(None)}:
        return array
    return _finite(array.astype(np.float64))


def _texts(array: Array) -> Array:
    is_text = np.fromiter((isinstance(value, str) for value in array), bool, len(array))
    if not set(map(_is_missing, array[~is_text])) <= {True}:
        raise ValueError("returned texts mixed with other values")
    texts = array.copy()
    texts[~is_text] = None
    return texts


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and value != value)
