"""The metrics by name: which there are and which of them are losses, for those who compute none."""

from __future__ import annotations

from difflib import get_close_matches

from everfit.errors import ProjectError

PROBABILITY = ("roc_auc", "log_loss", "brier", "ece")
REGRESSION = ("r2", "rmse", "mae")
_LABELLED = tuple(
    f"{name}{average}" for average in ("", "_macro", "_weighted") for name in ("precision", "recall", "f1")
)
CLASSIFICATION = ("accuracy", *_LABELLED, *PROBABILITY)
_LOSSES = frozenset({"log_loss", "brier", "ece", "rmse", "mae"})


def higher_is_better(metric: str) -> bool:
    """Whether a greater value is a better one; ProjectError for an unknown metric.

    >>> higher_is_better("f1"), higher_is_better("log_loss")
    (True, False)
    """
    if metric not in CLASSIFICATION + REGRESSION:
        raise unknown(metric, CLASSIFICATION + REGRESSION)
    return metric not in _LOSSES


def unknown(metric: str, known: tuple[str, ...], detail: str = "") -> ProjectError:
    """What to raise for a metric that is not among the known ones."""
    near = get_close_matches(metric, known, n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    return ProjectError(f"there is no metric `{metric}`{detail}", fix=f"{meant}one of {', '.join(known)}")
