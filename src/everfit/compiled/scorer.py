"""A compiled form at work: rows of numbers in, scores out."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import layers, trees
from everfit.errors import StepFailed
from everfit.records.compiled import Form, Part, Trees

Matrix = NDArray[np.float64]

# Below this, starting threads costs more than it saves.
_ROWS_A_THREAD = 4096


class CompiledScorer:
    """Scores like the library that fitted the model, to the last bits; safe for use by many threads."""

    def __init__(self, form: Form) -> None:
        self._parts = [_Part(part) for part in form.parts]
        self._weights = form.weights
        self._classes = form.classes
        self.width = form.parts[0].width

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values for regression."""
        x = np.ascontiguousarray(matrix, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.width:
            raise StepFailed(
                f"a matrix of shape {x.shape} for a model of {self.width} columns",
                where="score",
                fix="encode the rows with this model's own encoder",
            )
        found = self._blended([part.many(x) for part in self._parts])
        if not self._classes:
            return found[:, 0]
        return np.column_stack((1.0 - found[:, 0], found[:, 0])) if found.shape[1] == 1 else found

    def one(self, row: Any) -> list[float]:
        """The outputs for one row, given as bytes or a ctypes array of `width` doubles: the value, the probability of
        the positive class, or one of each class."""
        outputs = [part.one(row) for part in self._parts]
        if len(outputs) == 1 and self._weights == (1.0,):
            return outputs[0]
        return [sum(w * o for w, o in zip(self._weights, k, strict=True)) for k in zip(*outputs, strict=True)]

    def _blended(self, outputs: Sequence[Matrix]) -> Matrix:
        if len(outputs) == 1 and self._weights == (1.0,):
            return outputs[0]
        total = np.zeros_like(outputs[0])
        for weight, found in zip(self._weights, outputs, strict=True):
            total += weight * found
        return total


class _Part:
    """One part's arrays, their addresses and its machine code."""

    def __init__(self, part: Part) -> None:
        module: Any = trees if isinstance(part, Trees) else layers
        self._arrays = module.arrays(part)
        self._table = np.array([array.ctypes.data for array in self._arrays], dtype=np.int64)
        self._address = self._table.ctypes.data
        self._native = module.kernel(part)
        self._outputs = part.outputs
        self._room = ctypes.c_double * part.outputs

    def one(self, row: Any) -> list[float]:
        scores = self._room()
        self._native.held(self._address, row, 1, scores)
        return scores[:]

    def many(self, x: Matrix) -> Matrix:
        scores = np.empty((len(x), self._outputs))
        threads = min(os.cpu_count() or 1, len(x) // _ROWS_A_THREAD)
        if threads < 2:
            self._run(x, scores)
        else:
            with ThreadPoolExecutor(threads) as pool:
                blocks = zip(np.array_split(x, threads), np.array_split(scores, threads), strict=True)
                list(pool.map(lambda pair: self._run(*pair), blocks))
        return scores

    def _run(self, x: Matrix, scores: Matrix) -> None:
        self._native.free(self._address, x.ctypes.data, len(x), scores.ctypes.data)
