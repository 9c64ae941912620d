"""An ensemble is scored while it grows, and grows no further once that has stopped paying.

LightGBM and XGBoost say after each round that they have made it, and so does gradient boosting of scikit-learn; the
others grow to the end and are scored afterwards. What is kept is the same either way: the scores of other rows after
several numbers of rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy

from everfit.training.rounds import staged
from everfit.training.scorers import Matrix, by_class, package, single

_PATIENCE = 2  # stages; each has a third more rounds than the one before
_LEAST = 0.25  # of the rounds: before, a worse stage may be chance


@dataclass(slots=True)
class Growth:
    """`at` are the numbers of rounds, rising, after which the rows `x` (rows, columns) are scored, and `judge` says
    what the scores are worth, greater for better. `found` and `worth` are what came of it so far, by stage."""

    at: tuple[int, ...]
    x: Matrix
    judge: Callable[[Matrix], float]
    found: list[Matrix] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the last stage is reached, or the best one lies two back: boosting has then begun to learn noise."""
        seen = len(self.worth)
        if seen == len(self.at):
            return True
        late = bool(seen) and self.at[seen - 1] >= _LEAST * self.at[-1]
        return late and seen - 1 - int(np.argmax(self.worth)) >= _PATIENCE

    def watch(self, estimator: Any) -> Mapping[str, Any]:
        """What the estimator's `fit` must be given to be watched; nothing for one that cannot be."""
        kind = type(estimator)
        match package(estimator):
            case "lightgbm":
                return {"callbacks": [_of_lightgbm(self, estimator)]}
            case "xgboost":
                estimator.set_params(callbacks=[_of_xgboost(self, hasattr(estimator, "predict_proba"))])
            case "" if kind.__module__.startswith("sklearn.") and kind.__name__.startswith("GradientBoosting"):
                return {"monitor": _of_sklearn(self)}
        return {}

    def finish(self, estimator: Any) -> None:
        """Scores what was fitted without being watched."""
        if not self.found:
            for scores in staged(estimator, self.x, self.at):
                self._keep(scores)

    def after(self, rounds: int, score: Callable[[], Matrix]) -> bool:
        """Hears of a round that was made; whether it shall be the last one."""
        if not self.is_over and rounds == self.at[len(self.found)]:
            self._keep(score())
        return self.is_over

    def _keep(self, scores: Matrix) -> None:
        self.found.append(scores)
        self.worth.append(self.judge(scores))


def _of_lightgbm(growth: Growth, estimator: Any) -> Callable[[Any], None]:
    from lightgbm.callback import EarlyStopException

    pieces = _Pieces(growth.x) if _adds_up(estimator) else None

    def after(env: Any) -> None:
        made = env.iteration + 1

        def score() -> Matrix:
            found = pieces.score(env.model, made) if pieces else env.model.predict(growth.x, num_iteration=made)
            return by_class(found, hasattr(estimator, "predict_proba"))

        if growth.after(made, score) and made < growth.at[-1]:
            raise EarlyStopException(env.iteration, [])

    return after


def _adds_up(estimator: Any) -> bool:
    """Whether a score is a known function of the sum of what the trees say."""
    plain = {"boosting_type": "gbdt", "objective": None, "boosting": None, "linear_tree": None, "sigmoid": None}
    return {name: estimator.get_params().get(name) for name in plain} == plain


@dataclass(slots=True)
class _Pieces:
    """What the trees of a LightGBM booster say of the rows, each asked once."""

    x: Matrix
    rounds: int = 0
    raw: Matrix = field(default_factory=lambda: np.zeros(()))

    def score(self, booster: Any, rounds: int) -> Matrix:
        more = booster.predict(
            self.x, raw_score=True, start_iteration=self.rounds, num_iteration=rounds - self.rounds, num_threads=1
        )
        self.raw, self.rounds = self.raw + more, rounds
        return _linked(self.raw, booster.params["objective"])


def _linked(raw: Matrix, objective: str) -> Matrix:
    match objective:
        case "binary":
            return np.asarray(scipy.special.expit(raw))
        case "multiclass":
            return np.asarray(scipy.special.softmax(raw, axis=1))
    return raw


def _of_xgboost(growth: Growth, is_classifier: bool) -> Any:
    from xgboost.callback import TrainingCallback

    dense = single(growth.x)

    class Watch(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, _log: object) -> bool:
            made = epoch + 1
            return growth.after(
                made, lambda: by_class(model.inplace_predict(dense, iteration_range=(0, made)), is_classifier)
            )

    return Watch()


def _of_sklearn(growth: Growth) -> Callable[[int, Any, object], bool]:
    each: list[Iterator[Matrix]] = []

    def after(number: int, estimator: Any, _local: object) -> bool:
        if not each:
            stages = getattr(estimator, "staged_predict_proba", estimator.staged_predict)
            each.append(stages(growth.x))
        scores = next(each[0])
        return growth.after(number + 1, lambda: np.asarray(scores, dtype=np.float64))

    return after
