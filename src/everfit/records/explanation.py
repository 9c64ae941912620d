"""Why a model said what it said of one row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from everfit.records.table import Value


class Method(StrEnum):
    """How the contributions were found: exactly on the paths of the trees, exactly term by term, from those of a
    blend's members, or by drawing permutations."""

    TREES = "trees"
    TERMS = "terms"
    BLEND = "blend"
    SAMPLED = "sampled"


class Unit(StrEnum):
    """What the contributions are measured in. A margin is a class's sum before softmax."""

    VALUE = "value"
    PROBABILITY = "probability"
    LOG_ODDS = "log-odds"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a feature's `value` moves the output by. `error` is the standard error where it was drawn."""

    feature: str
    value: Value
    amount: float
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row's output as `base` plus what each feature contributes, the greatest first. `base` is what the model says
    on average over its training rows; `about` is the class that is spoken of, None for regression."""

    method: Method
    unit: Unit
    about: str | None
    base: float
    output: float
    contributions: tuple[Contribution, ...]
