"""A compiled form at work: rows of numbers in, scores out."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import calibration as calibrations
from everfit.compiled import curves, lanes, layers, trees
from everfit.compiled.lanes import ROWS
from everfit.compiled.native import Native
from everfit.errors import StepFailed
from everfit.records.calibration import Calibration
from everfit.records.compiled import Curves, Form, Network, Part, Trees

Matrix = NDArray[np.float64]

# Below this, starting threads costs more than it saves.
_ROWS_A_THREAD = 4096


class CompiledScorer:
    """Scores like the library that fitted the model, to the last bits, with the calibration after it; safe for use by
    many threads. Many rows go through trees together, but where `together` is off: the scores are the same."""

    def __init__(self, form: Form, calibration: Calibration | None = None, together: bool = True) -> None:
        self._parts = [_Part(part, together) for part in form.parts]
        self._weights = form.weights
        self._is_plain = form.weights == (1.0,)
        self._classes = form.classes
        self._calibration = _Calibration(calibration) if calibration is not None and calibration.curves else None
        self.width = form.parts[0].width

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values for regression. Large matrices are cut
        into blocks of rows for the machine's cores."""
        x = np.ascontiguousarray(matrix, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.width:
            raise StepFailed(
                f"a matrix of shape {x.shape} for a model of {self.width} columns",
                where="score",
                fix="encode the rows with this model's own encoder",
            )
        found = _in_blocks(self._outputs, x)
        if not self._classes:
            return found[:, 0]
        return np.column_stack((1.0 - found[:, 0], found[:, 0])) if found.shape[1] == 1 else found

    def one(self, row: Any) -> list[float]:
        """The outputs for one row, given as bytes or a ctypes array of `width` doubles: the value, the probability of
        the positive class, or one of each class."""
        return self.few(row, 1)

    def few(self, rows: Any, count: int) -> list[float]:
        """The same for several rows, one behind the other, with the interpreter's lock held: in microseconds."""
        if self._is_plain:
            scores = self._parts[0].few(rows, count)
        else:
            scores = self._blend([part.few(rows, count) for part in self._parts])
        if self._calibration is not None:
            self._calibration.few(scores, count)
        found: list[float] = scores[:]
        return found

    def _outputs(self, x: Matrix) -> Matrix:
        found = [part.many(x) for part in self._parts]
        scores = found[0]
        if not self._is_plain:
            scores = np.zeros_like(scores)
            for weight, own in zip(self._weights, found, strict=True):
                scores += weight * own
        if self._calibration is not None:
            self._calibration.many(scores)
        return scores

    def _blend(self, found: Sequence[Any]) -> Any:
        """The weighted sum, into the first one's room."""
        for k in range(len(found[0])):
            total = 0.0
            for weight, own in zip(self._weights, found, strict=True):
                total += weight * own[k]
            found[0][k] = total
        return found[0]


_KERNELS: Mapping[type[Part], Any] = {Trees: trees, Network: layers, Curves: curves}


class _Part:
    """One part's arrays, the table of their addresses and its machine code."""

    def __init__(self, part: Part, together: bool) -> None:
        module = _KERNELS[type(part)]
        self._arrays = module.arrays(part)
        self._table = _table(self._arrays)
        self._address = self._table.ctypes.data
        self._native = module.kernel(part)
        self._outputs = part.outputs
        self._room = ctypes.c_double * part.outputs
        self._lanes = _Lanes(part) if together and isinstance(part, Trees) else None

    def few(self, rows: Any, count: int) -> Any:
        scores = self._room() if count == 1 else (ctypes.c_double * (self._outputs * count))()
        self._native.held(self._address, rows, count, scores)
        return scores

    def many(self, x: Matrix) -> Matrix:
        scores = np.empty((len(x), self._outputs))
        if self._lanes is None or len(x) < ROWS or not self._lanes.many(x, scores):
            self._native.free(self._address, x.ctypes.data, len(x), scores.ctypes.data)
        return scores


class _Lanes:
    """The same trees laid out for many rows at once, made when the first of them come."""

    def __init__(self, part: Trees) -> None:
        self._part = part
        self._turn = Lock()

    @cached_property
    def _made(self) -> tuple[Sequence[NDArray[Any]], NDArray[np.int64], Native] | None:
        arrays = lanes.arrays(self._part)
        return None if arrays is None else (arrays, _table(arrays), lanes.kernel(self._part, len(arrays[0])))

    def many(self, x: Matrix, scores: Matrix) -> bool:
        """False, with nothing of worth in `scores`, for trees that are not laid out so and rows that lack a number."""
        with self._turn:  # or each thread that comes first makes it
            made = self._made
        if made is None:
            return False
        _, table, native = made
        whole = len(x) // ROWS * ROWS
        native.free(table.ctypes.data, x.ctypes.data, whole, scores.ctypes.data)
        if whole < len(x):  # the last block begins earlier, and some rows are scored twice, the same
            native.free(table.ctypes.data, x[-ROWS:].ctypes.data, ROWS, scores[-ROWS:].ctypes.data)
        return not np.isnan(scores).any()


class _Calibration:
    """A calibration's arrays, the table of their addresses and its machine code; it changes scores in place."""

    def __init__(self, calibration: Calibration) -> None:
        self._arrays = calibrations.arrays(calibration)
        self._table = _table(self._arrays)
        self._address = self._table.ctypes.data
        self._native = calibrations.kernel(calibration)

    def few(self, scores: Any, count: int) -> None:
        self._native.held(self._address, scores, count)

    def many(self, scores: Matrix) -> None:
        self._native.free(self._address, scores.ctypes.data, len(scores))


def calibrator(calibration: Calibration | None, classes: int) -> Callable[[Matrix], Matrix]:
    """The compiled calibration alone: (rows, classes) probabilities to calibrated ones."""
    if calibration is None or not calibration.curves:
        return lambda scores: scores
    compiled = _Calibration(calibration)

    def apply(scores: Matrix) -> Matrix:
        found = np.ascontiguousarray(scores[:, 1:] if classes == 2 else scores).copy()
        compiled.many(found)
        return np.column_stack((1.0 - found[:, 0], found[:, 0])) if classes == 2 else found

    return apply


def _table(arrays: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.array([array.ctypes.data for array in arrays], dtype=np.int64)


def _in_blocks(outputs: Any, x: Matrix) -> Matrix:
    """All rows at once where they are few, else in as many threads as there are cores, or as OMP_NUM_THREADS has it,
    which executors set for their workers: machine code needs no lock."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    threads = min(int(said) if said.isdecimal() else os.cpu_count() or 1, len(x) // _ROWS_A_THREAD)
    if threads < 2:
        found: Matrix = outputs(x)
        return found
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(outputs, np.array_split(x, threads))))
