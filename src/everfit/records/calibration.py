"""How a model's scores become probabilities, and these become answers, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Method(StrEnum):
    """How scores are calibrated."""

    NONE = "none"
    ISOTONIC = "isotonic"
    PLATT = "platt"


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines through the knots (x, y), both strictly increasing and within 0..1; level beyond the ends."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Platt:
    """The probability whose logit is `slope` times the score's logit plus `intercept`; the slope is above 0."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is applied to the estimator's probabilities before anybody sees them.

    `curves` holds one curve for a binary target (of the positive class), one a class for several classes (each against
    the rest, then divided by their sum), and none for the method `none`. `rows` is the number of out-of-fold scores
    it was chosen on; `brier` and `log_loss` hold the cross-validated figures there of each method that was tried, by
    its name; `reason` says in a line why it is this method.
    """

    method: Method
    curves: tuple[Isotonic | Platt, ...] = ()
    rows: int = 0
    brier: Mapping[str, float] = field(default_factory=dict)
    log_loss: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The score from which a row counts as positive: `value`, the `objective` in words that it was chosen for, and
    what it `reached` on out-of-fold scores by name (`precision`, `recall`, `f1`, `cost` a row); nothing where it was
    given as a number."""

    value: float
    objective: str
    reached: Mapping[str, float] = field(default_factory=dict)
