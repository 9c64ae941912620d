"""The fitted encoder as data: what turns a row of features into a row of numbers, with no library object inside."""

from __future__ import annotations

from dataclasses import dataclass

from everfit.records.table import Kind


@dataclass(frozen=True, slots=True)
class NumericEncoding:
    """(x - mean) / scale after missing values became `fill`; one more 0/1 column when `indicator` is set."""

    name: str
    kind: Kind
    fill: float
    mean: float
    scale: float
    indicator: bool


@dataclass(frozen=True, slots=True)
class CategoricalEncoding:
    """One 0/1 column a level, in this order; an unseen level or a missing value leaves all of them 0."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Encoder:
    """All encodings in the order of the model's input columns, fitted on training rows only."""

    numeric: tuple[NumericEncoding, ...]
    categorical: tuple[CategoricalEncoding, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The feature names that must be present before encoding."""
        return tuple(e.name for e in self.numeric) + tuple(e.name for e in self.categorical)
