"""Whether a model may be registered: every gate must hold on the test rows, and what is unknown fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.evaluation.metric_names import higher_is_better
from everfit.evaluation.metrics import metrics as measured
from everfit.project.sections.training import Gates
from everfit.records.evaluation import Difference, Interval, Verdict
from everfit.records.model import GateReport, GateResult
from everfit.records.table import Task


def judge(
    gates: Gates,
    metrics: Mapping[str, float],
    intervals: Mapping[str, Interval],
    metric: str,
    baseline: Mapping[str, float],
) -> GateReport:
    """Judge a model by its test `metrics`.

    There is one result for each metric with a bound in `gates`, and always one, `beats_baseline`, by the training
    `metric` against those of a constant answer (see `baseline`). A gate whose figure is missing fails. With
    `gates.confident` it is not the metric that has to hold but the worse end of its 95% interval.

    >>> report = judge(Gates(roc_auc=0.8, f1=0.7), {"roc_auc": 0.85}, {}, "roc_auc", {"roc_auc": 0.5})
    >>> for each in report.results:
    ...     print(each.gate, each.passed, each.reason)
    beats_baseline True roc_auc 0.8500 is better than 0.5000, the constant answer's
    f1 False the model has no f1 on the test rows
    roc_auc True roc_auc 0.8500 is at least 0.8000
    """
    figures = _Figures(metrics, intervals if gates.confident else None)
    results = [_beats_baseline(metric, figures, baseline)]
    results += [_bound(name, figures, float(required)) for name, required in _bounds(gates)]
    return GateReport(tuple(results))


def not_worse(
    metric: str, observed: float | None, has_champion: bool, found: Difference | None, confident: bool = False
) -> GateResult:
    """The gate `not_worse_than_production`, from the paired comparison on the same test rows.

    It passes where the comparison says better or no worse, fails where it says worse, and where it cannot tell goes by
    the difference itself: within the tolerance or not. With `confident` what cannot be told fails. It fails too when
    either model has no such metric; only a champion that does not exist yet lets it pass.
    """
    gate = "not_worse_than_production"
    observed = _finite(observed)
    if observed is None:
        return GateResult(gate, None, None, False, f"the model has no {metric} on the test rows")
    if not has_champion:
        return GateResult(gate, observed, None, True, "no champion yet")
    if found is None:
        return GateResult(gate, observed, None, False, f"the champion has no {metric} on the test rows")
    told = found.verdict in (Verdict.BETTER, Verdict.NO_WORSE)
    passed = told or (found.verdict is Verdict.CANNOT_TELL and not confident and found.difference >= -found.room)
    sign = 1 if higher_is_better(metric) else -1
    return GateResult(gate, observed, found.champion - sign * found.room, passed, _compared(found, told, passed))


def _compared(found: Difference, told: bool, passed: bool) -> str:
    figures = f"{found.difference:+.4f}, 95% from {found.low:+.4f} to {found.high:+.4f}"
    against = f"{found.metric} {found.challenger:.4f} against the champion's {found.champion:.4f}"
    said = f"{found.verdict} ({against}; difference for the better {figures}; tolerance {found.room:.4g})"
    if told or found.verdict is Verdict.WORSE:
        return said
    within = found.difference >= -found.room
    then = f"the difference is {'within' if within else 'beyond'} the tolerance"
    if within and not passed:
        then = "and `gates.confident` asks to be sure"
    return f"{said}; {found.rows:,} rows are too few to be sure, {then}"


def baseline(task: Task, y_train: NDArray[Any], y_test: NDArray[Any], classes: tuple[str, ...]) -> dict[str, float]:
    """Test metrics of the best constant answer: the classes' training shares (so the majority class), or the mean.

    >>> baseline(Task.REGRESSION, np.array([1.0, 3.0]), np.array([2.0, 4.0]), ())["mae"]
    1.0
    """
    if task is Task.REGRESSION:
        scores = np.full(len(y_test), np.mean(y_train))
    else:
        shares = np.bincount(y_train, minlength=len(classes)) / len(y_train)
        scores = np.tile(shares, (len(y_test), 1))
    return measured(task, y_test, scores, classes)


def _bounds(gates: Gates) -> list[tuple[str, float]]:
    other = {"not_worse_than", "tolerance", "confident"}
    return sorted(gates.model_dump(exclude=other, exclude_none=True).items())


@dataclass(frozen=True, slots=True)
class _Figures:
    """What gates are held against: the metrics, or the worse ends of their intervals."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] | None

    def __getitem__(self, name: str) -> float | None:
        if self.intervals is None:
            return _finite(self.metrics.get(name))
        around = self.intervals.get(name)
        if around is None:
            return None
        return _finite(around.low if higher_is_better(name) else around.high)

    def words(self, name: str, figure: float) -> str:
        """The figure, and what it is."""
        return f"{name} {figure:.4f}" if self.intervals is None else f"{name}, surely {figure:.4f},"

    def absent(self, name: str) -> str:
        """Why there is no figure."""
        what = name if self.intervals is None or name not in self.metrics else f"interval for {name}"
        return f"the model has no {what} on the test rows"


def _bound(name: str, figures: _Figures, required: float) -> GateResult:
    observed = figures[name]
    if observed is None:
        return GateResult(name, None, required, False, figures.absent(name))
    upward = higher_is_better(name)
    passed = observed >= required if upward else observed <= required
    words = ("at least" if upward else "at most") if passed else ("below" if upward else "above")
    return GateResult(name, observed, required, passed, f"{figures.words(name, observed)} is {words} {required:.4f}")


def _beats_baseline(metric: str, figures: _Figures, baseline: Mapping[str, float]) -> GateResult:
    observed, required = figures[metric], _finite(baseline.get(metric))
    if observed is None or required is None:
        reason = figures.absent(metric) if observed is None else f"the constant answer has no {metric} on the test rows"
        return GateResult("beats_baseline", observed, required, False, reason)
    passed = observed > required if higher_is_better(metric) else observed < required
    words = "better" if passed else "no better"
    reason = f"{figures.words(metric, observed)} is {words} than {required:.4f}, the constant answer's"
    return GateResult("beats_baseline", observed, required, passed, reason)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
