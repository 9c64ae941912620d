"""The reference profile: what each column and the score looked like in training, small, mergeable, no personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from everfit.records.table import Kind


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column over `rows` rows, of which `nulls` were missing.

    Numeric, date and boolean columns: `sample` holds up to 2,000 sorted values (an even grid of order statistics when
    there were more), with the four moments of S2's baseline beside it. Categorical ones: `counts` by level, or, when
    `hashed` (too many levels), by a bucket of the level's hash. Identifiers and text: only the missing values.
    `slack` is how far the share of rows below a value of `sample` may be from what the grid says: 0 as long as the
    grid was taken from all values, more once profiles were merged.
    """

    name: str
    kind: Kind
    rows: int
    nulls: int
    sample: tuple[float, ...] = ()
    counts: Mapping[str, int] | None = None
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    hashed: bool = False
    slack: float = 0.0


class LossKind(StrEnum):
    """What a single prediction costs once its truth is known: `error` is 1 where the class is wrong, `brier` the
    squared difference of the score and 0 or 1, `brier_of_classes` its sum over several classes, from 0 to 2, and
    `absolute` and `squared` are the error of a number."""

    ERROR = "error"
    BRIER = "brier"
    BRIER_OF_CLASSES = "brier_of_classes"
    ABSOLUTE = "absolute"
    SQUARED = "squared"

    @property
    def words(self) -> str:
        """For people."""
        return {"brier": "Brier's", "brier_of_classes": "Brier's, all classes"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class LossProfile:
    """The losses of single test rows: how many, their mean, standard deviation, and the greatest."""

    kind: LossKind
    rows: int
    mean: float
    std: float
    greatest: float


@dataclass(frozen=True, slots=True)
class LossModel:
    """What a regression's error is expected to be, given a row's encoded features and, as the last column, its score:
    a forest as flat lists. `child[2 * n]` follows node n where the column is greater than the threshold, and
    `child[2 * n + 1]` where it is not; a leaf follows itself and holds the expected absolute and squared error. `scale`
    brings both to what they were on the test rows, where their means were `reference`."""

    roots: tuple[int, ...]
    column: tuple[int, ...]
    threshold: tuple[float, ...]
    child: tuple[int, ...]
    absolute: tuple[float, ...]
    squared: tuple[float, ...]
    depth: int
    scale: tuple[float, float] = (1.0, 1.0)
    reference: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """The columns that the model reads, and its own score on the test rows as the column `score`.

    `metric` and `expected` are the test metric that performance is later held against, and its value on `labels`
    test rows; `losses` are those of these rows, one by one, and `loss_model` foretells them for numbers."""

    columns: tuple[ColumnProfile, ...]
    score: ColumnProfile
    metric: str
    expected: float
    labels: int
    losses: LossProfile | None = None
    loss_model: LossModel | None = None
