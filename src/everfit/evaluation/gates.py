"""Whether a model may be registered: every gate must hold on the test rows, and what is unknown fails."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.evaluation.metrics import higher_is_better
from everfit.evaluation.metrics import metrics as measured
from everfit.project.sections.training import Gates
from everfit.records.model import GateReport, GateResult
from everfit.records.table import Task

_IN_TARGET_UNITS = ("rmse", "mae")


def judge(
    gates: Gates,
    metrics: Mapping[str, float],
    metric: str,
    champion: Mapping[str, float] | None,
    baseline: Mapping[str, float],
) -> GateReport:
    """Judge a model by its test `metrics`.

    There is one result for each metric with a bound in `gates`; one for `not_worse_than: production`, by the training
    `metric` against the champion's `champion` metrics on the same test rows; and always one, `beats_baseline`, by the
    training `metric` against those of a constant answer (see `baseline`). A gate whose figure is missing fails; only a
    champion that does not exist yet (`champion` None) lets its gate pass.

    The tolerance towards the champion is in the metric's points; for rmse and mae, which have the target's unit, it is
    a share of the champion's value.

    >>> report = judge(Gates(roc_auc=0.8, f1=0.7), {"roc_auc": 0.85}, "roc_auc", None, {"roc_auc": 0.5})
    >>> for each in report.results:
    ...     print(each.gate, each.passed, each.reason)
    beats_baseline True roc_auc 0.8500 is better than 0.5000, the constant answer's
    f1 False the model has no f1 on the test rows
    roc_auc True roc_auc 0.8500 is at least 0.8000
    """
    results = [_beats_baseline(metric, metrics, baseline)]
    results += [_bound(name, metrics, float(required)) for name, required in _bounds(gates)]
    if gates.not_worse_than is not None:
        results.append(_not_worse(metric, metrics, champion, gates.tolerance))
    return GateReport(tuple(results))


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
    other = {"not_worse_than", "tolerance"}
    return sorted(gates.model_dump(exclude=other, exclude_none=True).items())


def _bound(name: str, metrics: Mapping[str, float], required: float) -> GateResult:
    observed = _finite(metrics.get(name))
    if observed is None:
        return GateResult(name, None, required, False, f"the model has no {name} on the test rows")
    upward = higher_is_better(name)
    passed = observed >= required if upward else observed <= required
    words = ("at least" if upward else "at most") if passed else ("below" if upward else "above")
    return GateResult(name, observed, required, passed, f"{name} {observed:.4f} is {words} {required:.4f}")


def _beats_baseline(metric: str, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> GateResult:
    observed, required = _finite(metrics.get(metric)), _finite(baseline.get(metric))
    if observed is None or required is None:
        who = "model" if observed is None else "constant answer"
        return GateResult("beats_baseline", observed, required, False, f"the {who} has no {metric} on the test rows")
    passed = observed > required if higher_is_better(metric) else observed < required
    words = "better" if passed else "no better"
    reason = f"{metric} {observed:.4f} is {words} than {required:.4f}, the constant answer's"
    return GateResult("beats_baseline", observed, required, passed, reason)


def _not_worse(
    metric: str, metrics: Mapping[str, float], champion: Mapping[str, float] | None, tolerance: float
) -> GateResult:
    gate, observed = "not_worse_than_production", _finite(metrics.get(metric))
    if observed is None:
        return GateResult(gate, None, None, False, f"the model has no {metric} on the test rows")
    if champion is None:
        return GateResult(gate, observed, None, True, "no champion yet")
    held = _finite(champion.get(metric))
    if held is None:
        return GateResult(gate, observed, None, False, f"the champion has no {metric} on the test rows")
    room = tolerance * held if metric in _IN_TARGET_UNITS else tolerance
    upward = higher_is_better(metric)
    required = held - room if upward else held + room
    passed = observed >= required if upward else observed <= required
    words = "is not worse than" if passed else "is worse than"
    reason = f"{metric} {observed:.4f} {words} the champion's {held:.4f} (tolerance {room:.4g})"
    return GateResult(gate, observed, required, passed, reason)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
