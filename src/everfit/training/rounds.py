"""How many rounds of boosting: an ensemble that grows round by round is scored after several numbers of them, so that
one fit on a fold says what all of them would have been worth.

The number is chosen by the mean over the folds, not by one hold-out, and the final fit takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from everfit.records.model import Param
from everfit.training.scorers import Matrix, by_class, package, single

_FEWEST = 10
_PATIENCE = 12.0  # rounds times learning rate: by then a first setting has learned what it will
_GROWTH = 1.33


def stages(params: Mapping[str, Param], rows: int) -> tuple[int, ...]:
    """The numbers of rounds after which to score, the last one the number to fit. A slower learner gets more, and so
    do many rows, which bear more.

    >>> stages({"learning_rate": 0.1}, 5_000)[0], stages({"learning_rate": 0.1}, 5_000)[-1]
    (10, 120)
    """
    rate = float(params.get("learning_rate") or 0.1)
    most = round(_PATIENCE / rate * (1 + np.log2(max(rows / 5_000, 1.0))))
    found, at = [], float(_FEWEST)
    while at < most:
        found.append(round(at))
        at = max(at * _GROWTH, at + 1)
    return (*found, max(most, _FEWEST))


def staged(estimator: Any, x: Matrix, at: Sequence[int]) -> Iterator[Matrix]:
    """The scores of the fitted ensemble after each of these numbers of rounds, which rise: (rows, classes)
    probabilities or (rows,) values each."""
    is_classifier = hasattr(estimator, "predict_proba")
    match package(estimator):
        case "xgboost":
            booster = estimator.get_booster()
            dense = single(x)
            for rounds in at:
                yield by_class(booster.inplace_predict(dense, iteration_range=(0, rounds)), is_classifier)
        case "lightgbm":
            for rounds in at:
                yield by_class(estimator.booster_.predict(x, num_iteration=rounds, num_threads=1), is_classifier)
        case "catboost":
            for rounds in at:
                found = estimator.predict_proba if is_classifier else estimator.predict
                yield np.asarray(found(x, ntree_end=rounds, thread_count=1), dtype=np.float64)
        case _:
            wanted = set(at)
            each = estimator.staged_predict_proba(x) if is_classifier else estimator.staged_predict(x)
            for rounds, found in enumerate(each, 1):
                if rounds in wanted:
                    yield np.asarray(found, dtype=np.float64)
