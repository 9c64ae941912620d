"""A compiled model's answer to one row, taken apart into what each encoded column adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everfit.explaining.links import linked, slopes
from everfit.explaining.paths import Paths
from everfit.explaining.terms import is_sum, start, terms
from everfit.records.compiled import Form, Link, Part, Trees
from everfit.records.explanation import Method, Unit

Floats = NDArray[np.float64]
# The mean over the training rows of each column's term, given what makes the (rows, width) terms of an encoded matrix.
Mean = Callable[[Callable[[Floats], Floats]], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """`base` and the (width,) amounts add up to the output, in this unit."""

    method: Method
    unit: Unit
    base: float
    amounts: Floats


class Parts:
    """A form prepared to be taken apart, part by part and output by output as they are asked for."""

    def __init__(self, form: Form, mean: Mean) -> None:
        """ValueError for a form with a part whose contributions are not found exactly: a network with hidden layers,
        or trees that do not say how many rows came by."""
        odd = [part for part in form.parts if not (is_sum(part) or (isinstance(part, Trees) and len(part.cover)))]
        if odd:
            raise ValueError(f"a part of the kind {type(odd[0]).__name__} is not taken apart exactly")
        self._form = form
        self._mean = mean
        self._known: dict[tuple[int, int], Callable[[Floats], tuple[float, Floats]]] = {}

    def apart(self, row: Floats, output: int) -> Apart:
        """One output's share of each column of the encoded row, (width,).

        A model of one part is taken apart before its link: log-odds for a logistic one. A blend is a sum of scores, so
        each member's contributions are moved behind its link by their mean slope, weighted and added.
        """
        form = self._form
        if len(form.parts) == 1 and form.weights == (1.0,):
            base, amounts = self._margin(0, output, row)
            part = form.parts[0]
            return Apart(Method.TREES if isinstance(part, Trees) else Method.TERMS, _unit(part, form), base, amounts)
        found = [self._scored(number, output, row) for number in range(len(form.parts))]
        base = sum(weight * own for weight, (own, _) in zip(form.weights, found, strict=True))
        total = sum((weight * own for weight, (_, own) in zip(form.weights, found, strict=True)), np.zeros(len(row)))
        return Apart(Method.BLEND, Unit.PROBABILITY if form.classes else Unit.VALUE, base, total)

    def _scored(self, number: int, output: int, row: Floats) -> tuple[float, Floats]:
        """A part's base and amounts behind its link."""
        part = self._form.parts[number]
        outputs = range(part.outputs) if part.link is Link.SOFTMAX else [output]
        found = [self._margin(number, each, row) for each in outputs]
        base, amounts = np.array([own for own, _ in found]), np.array([own for _, own in found])
        place = output if part.link is Link.SOFTMAX else 0
        mean_slopes = slopes(part.link, base, base + amounts.sum(axis=1), place)
        return float(linked(part.link, base)[place]), mean_slopes @ amounts

    def _margin(self, number: int, output: int, row: Floats) -> tuple[float, Floats]:
        """A part's base and amounts before its link."""
        key = number, output
        if key not in self._known:
            self._known[key] = self._prepared(self._form.parts[number], output)
        return self._known[key](row)

    def _prepared(self, part: Part, output: int) -> Callable[[Floats], tuple[float, Floats]]:
        if isinstance(part, Trees):
            paths = Paths(part, output)
            return lambda row: (paths.base, paths.contributions(row))
        mean = self._mean(lambda matrix: terms(part, matrix, output))
        base = start(part, output) + float(mean.sum())
        return lambda row: (base, terms(part, row[None, :], output)[0] - mean)


def _unit(part: Part, form: Form) -> Unit:
    if not form.classes:
        return Unit.VALUE
    return {Link.LOGISTIC: Unit.LOG_ODDS, Link.SOFTMAX: Unit.MARGIN, Link.IDENTITY: Unit.PROBABILITY}[part.link]
