"""The encoder as machine code: a raw row of numbers and level codes to the row that the model reads.

It does what `features.encoder.transform` does, operation by operation.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import native
from everfit.compiled.native import DOUBLE, LONG, POINTER, Builder, Native, Value, at, get, integer, intrinsic, put
from everfit.errors import StepFailed
from everfit.records.features import Encoder

_LIMIT = 1e30
UNKNOWN = -1.0


class CompiledEncoder:
    """An encoder's numbers laid out for the kernel. A raw row has the numeric features, NaN where missing, and then
    the code of each categorical feature's level: its position, or UNKNOWN where missing or unseen."""

    def __init__(self, encoder: Encoder) -> None:
        numeric, categorical = encoder.numeric, encoder.categorical
        self.names = encoder.inputs
        self.numbers = len(numeric)
        self.codes = tuple({level: float(i) for i, level in enumerate(e.levels)} for e in categorical)
        widths = [2 if e.indicator else 1 for e in numeric] + [len(e.levels) for e in categorical]
        starts = np.cumsum([0, *widths]).astype(np.int64)
        self.width = int(starts[-1])
        shown = ("fill", "mean", "scale")
        self._arrays = (
            *(np.array([getattr(e, name) for e in numeric], dtype=np.float64) for name in shown),
            np.array([e.indicator for e in numeric], dtype=np.int64),
            starts,
        )
        self._table = np.array([array.ctypes.data for array in self._arrays], dtype=np.int64)
        self._address = self._table.ctypes.data
        self._native = _kernel(len(numeric), len(categorical), self.width)
        self._room = ctypes.c_double * self.width

    def one(self, raw: bytes) -> Any:
        """The encoded row of a raw one, as an array of doubles that kernels read."""
        room = self._room()
        self._native.held(self._address, raw, 1, room)
        return room

    def few(self, raw: bytes, count: int) -> Any:
        """The same of several rows, one behind the other."""
        room = (self._room * count)()
        self._native.held(self._address, raw, count, room)
        return room

    def many(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, inputs) -> (rows, width)."""
        raw = np.ascontiguousarray(raw, dtype=np.float64)
        out = np.empty((len(raw), self.width))
        self._native.free(self._address, raw.ctypes.data, len(raw), out.ctypes.data)
        return out

    def columns(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of a raw column a line: (inputs, rows) -> (rows, width)."""
        raw = np.ascontiguousarray(raw, dtype=np.float64)
        rows = raw.shape[1]
        out = np.empty((rows, self.width))
        kernel = _kernel(self.numbers, len(self.codes), self.width, by_column=True)
        kernel.free(self._address, raw.ctypes.data, rows, out.ctypes.data)
        return out

    def raw(self, features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Features by name, float64 or object arrays of shape (rows,), as raw rows. Raises StepFailed when one is
        absent."""
        absent = [name for name in self.names if name not in features]
        if absent:
            raise StepFailed(
                "a feature that the model reads is absent",
                where=absent[0],
                fix="give every feature of the encoder; a missing value is NaN or None",
            )
        rows = len(features[self.names[0]]) if self.names else 0
        out = np.empty((rows, len(self.names)))
        for i, name in enumerate(self.names):
            column = features[name]
            out[:, i] = column if i < self.numbers else self._coded(self.codes[i - self.numbers], column)
        return out

    @staticmethod
    def _coded(codes: Mapping[str, float], column: NDArray[Any]) -> NDArray[np.float64]:
        return np.fromiter((codes.get(value, UNKNOWN) for value in column), np.float64, len(column))


@lru_cache(maxsize=64)
def _kernel(numbers: int, levels: int, width: int, by_column: bool = False) -> Native:
    """(addresses, raw numbers, count, out); the raw numbers of a row side by side, or those of a column."""
    made, build = native.function("encode", [POINTER["long"], POINTER["double"], LONG, POINTER["double"]])
    model, rows, count, out = made.args
    fill, mean, scale = (build.inttoptr(get(build, model, integer(i)), POINTER["double"]) for i in range(3))
    marked, starts = (build.inttoptr(get(build, model, integer(i)), POINTER["long"]) for i in (3, 4))
    with native.loop(build, count) as row:
        first = row if by_column else build.mul(row, integer(numbers + levels))
        raw, step = at(build, rows, first), count if by_column else integer(1)
        target = at(build, out, build.mul(row, integer(width)))
        with native.loop(build, integer(width)) as i:
            put(build, DOUBLE(0.0), target, i)
        with native.loop(build, integer(numbers)) as i:
            value, place = get(build, raw, build.mul(i, step)), get(build, starts, i)
            missing = _is_missing(build, value)
            value = build.select(missing, get(build, fill, i), value)
            value = build.fdiv(build.fsub(value, get(build, mean, i)), get(build, scale, i))
            put(build, _limited(build, value), target, place)
            with build.if_then(build.icmp_signed("!=", get(build, marked, i), integer(0))):
                put(build, build.uitofp(missing, DOUBLE), target, build.add(place, integer(1)))
        with native.loop(build, integer(numbers + levels), start=integer(numbers)) as i:
            code = get(build, raw, build.mul(i, step))
            with build.if_then(build.fcmp_ordered(">=", code, DOUBLE(0.0))):
                put(build, DOUBLE(1.0), target, build.add(get(build, starts, i), build.fptosi(code, LONG)))
    return native.compiled(made, build, "ppnp")


def _is_missing(build: Builder, value: Value) -> Value:
    """Neither NaN nor infinite is below infinity in size."""
    finite = build.fcmp_ordered("<", intrinsic(build, "fabs", value), DOUBLE(float("inf")))
    return build.not_(finite)


def _limited(build: Builder, value: Value) -> Value:
    low, high = DOUBLE(-_LIMIT), DOUBLE(_LIMIT)
    value = build.select(build.fcmp_ordered("<", value, low), low, value)
    return build.select(build.fcmp_ordered(">", value, high), high, value)
