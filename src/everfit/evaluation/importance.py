"""Which features the model leans on: how far its score falls when one feature's values are shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from csv import writer
from io import StringIO
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from everfit.errors import ProjectError
from everfit.records.model import Importance

Columns = Mapping[str, NDArray[Any]]


def importance(
    score: Callable[[Columns], float], columns: Columns, names: tuple[str, ...], repeats: int, seed: int
) -> tuple[Importance, ...]:
    """Permutation importance of the named columns before encoding, the greatest first, equal ones by name.

    `score` gives the model's metric (greater is better) on a table of columns, each (rows,). The value is the score of
    the true table minus the mean score of `repeats` tables with that column shuffled: Breiman (2001), section 10. It
    can be slightly below 0 for a feature without use. Features that say the same share their importance. Each
    feature's shuffles come from the seed and its own name: the other features do not change them.

    >>> x, noise = np.arange(6.0), np.array([3.0, 1.0, 2.0, 5.0, 4.0, 0.0])
    >>> found = importance(lambda c: -float(np.abs(c["x"] - x).mean()), {"x": x, "noise": noise}, ("noise", "x"), 2, 1)
    >>> [(each.feature, each.value > 0) for each in found]
    [('x', True), ('noise', False)]
    """
    if repeats < 1:
        raise ProjectError(f"importance needs at least one repeat, not {repeats}")
    whole = score(columns)
    found = [Importance(name, whole - _shuffled_score(score, columns, name, repeats, seed)) for name in names]
    return tuple(sorted(found, key=lambda each: (-each.value, each.feature)))


def by_feature(values: NDArray[np.float64], columns: tuple[str, ...]) -> tuple[Importance, ...]:
    """The mean size of what each feature adds to a row's output, the greatest first.

    `values` are (rows, columns, outputs) SHAP values and `columns` the feature of each column: what the columns of one
    feature add to a row is summed before its size is taken, and outputs count the same.

    >>> values = np.array([[[1.0], [-1.0], [0.5]], [[2.0], [0.0], [0.5]]])
    >>> [(each.feature, each.value) for each in by_feature(values, ("plan", "plan", "age"))]
    [('plan', 1.0), ('age', 0.5)]
    """
    found = []
    for name in dict.fromkeys(columns):
        own = [place for place, of in enumerate(columns) if of == name]
        found.append(Importance(name, float(np.abs(values[:, own].sum(axis=1)).mean())))
    return tuple(sorted(found, key=lambda each: (-each.value, each.feature)))


def csv(importance: tuple[Importance, ...]) -> str:
    """The importance as CSV, the greatest first.

    >>> print(csv((Importance("a,b", 0.5), Importance("c", 0.25))), end="")
    feature,importance
    "a,b",0.5
    c,0.25
    """
    out = StringIO()
    writer(out, lineterminator="\n").writerows([("feature", "importance"), *((i.feature, i.value) for i in importance)])
    return out.getvalue()


def _shuffled_score(score: Callable[[Columns], float], columns: Columns, name: str, repeats: int, seed: int) -> float:
    random = np.random.default_rng([seed, crc32(name.encode())])
    scores = [score({**columns, name: random.permutation(columns[name])}) for _ in range(repeats)]
    return float(np.mean(scores))
