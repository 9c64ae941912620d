"""What monitoring finds: drift by column, performance on matured labels, alarms, and the decision they lead to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from everfit.records.profile import LossKind
from everfit.records.quality import QualityLook
from everfit.records.shape import Shape
from everfit.records.table import Value


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column (or one column's share of missing values) now against the profile.

    `effect` is the share of rows that moved, 0..1: the Kolmogorov-Smirnov distance of a numeric column, the total
    variation distance of a categorical one, the difference of null shares. `adjusted` is the p-value after
    Benjamini-Hochberg over all tests of the look. `drifted` needs both a small `adjusted` and an effect beyond the
    floor. `floor` is the least effect that counts here: the look's own, or what was learned from past windows.

    Beside the test of a column's values stand its distances: `wasserstein` in the column's units, `jensen_shannon`
    (base 2, 0..1) and `psi`. Of a column that drifted, `influence` is how far the mean score would go back if the
    column had not moved, in standard deviations of the score, and `cost` how much of the estimated metric came with
    the move."""

    column: str
    test: str
    statistic: float
    p_value: float
    adjusted: float
    effect: float
    drifted: bool
    floor: float | None = None
    wasserstein: float | None = None
    jensen_shannon: float | None = None
    psi: float | None = None
    influence: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All columns in one window. `drift_score` is the share of tested columns that drifted; `alpha` the false-alarm
    rate of the whole look on data that did not move; `floor` the least effect that matters.

    `joint` is the test of all columns together by a classifier. `rule` says what calls a column drifted; for a rule
    whose false-alarm rate does not follow from its definition, `measured` is the share of simulated looks, on rows like
    the training's, on which it alarmed. `phases` are the windows tested where like is compared with like: each day
    with the same weekdays before it, or each hour with the same hours."""

    rows: int
    since: datetime
    until: datetime
    columns: tuple[ColumnDrift, ...]
    score: ColumnDrift | None
    alpha: float
    floor: float
    joint: ColumnDrift | None = None
    rule: str = "everfit"
    measured: float | None = None
    phases: tuple[str, ...] = ()

    @property
    def is_drift(self) -> bool:
        """Whether at least one input column drifted."""
        return any(c.drifted for c in self.columns)

    @property
    def drift_score(self) -> float:
        """Share of distinct columns that drifted, 0..1."""
        names = {c.column for c in self.columns}
        return len({c.column for c in self.columns if c.drifted}) / len(names) if names else 0.0


@dataclass(frozen=True, slots=True)
class StreamAlarm:
    """A column whose stream detector went beyond its bound: at which row, from 0, of those that it was given."""

    column: str
    row: int
    evidence: float


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream detectors after the rows up to `until`: for each column its sums; of one version of the model."""

    version: int
    until: datetime | None = None
    rows: int = 0
    sums: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """The model on predictions whose labels are known. `low` and `high` bound the metric with confidence 1 - alpha;
    `coverage` is the share of matured predictions that have a label; `degraded` when even the favourable bound is
    worse than `expected` by more than the tolerance. For classes, `accuracy` is that of the same rows, and `estimated`
    what the scores alone had foretold of it; for numbers, `estimated` is what had been foretold of the metric itself.
    The difference is the estimate's error."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    expected: float
    labels: int
    coverage: float
    degraded: bool
    alpha: float
    accuracy: float | None = None
    estimated: float | None = None


@dataclass(frozen=True, slots=True)
class LossReport:
    """The losses on labels, one after the other. `recent` is the mean of the `labels` that counted in this look, and
    `expected` that of the test; `total` labels were seen of this version. `evidence` is the detector's peak, and
    `degraded` that it passed `run_length`, which is also the average number of labels to a false alarm, at least.

    `since` is the time of the prediction from which on the losses have been greater, as far as the labels tell; None
    while they are not. It is `lasting` when what speaks for that very time is beyond the bound by itself: far less
    likely by chance than an alarm, which adds up what speaks for all times. `labelled` predictions since then have a
    label."""

    kind: LossKind
    recent: float | None
    expected: float
    labels: int
    total: int
    evidence: float
    run_length: float
    degraded: bool
    since: datetime | None = None
    lasting: bool = False
    labelled: int = 0


@dataclass(frozen=True, slots=True)
class Rise:
    """What one bettor on greater losses has won since its last low, as a logarithm, and the time of the prediction at
    which that began; None while it has won nothing."""

    won: float
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LossState:
    """The detector of losses after the labels that counted until `at` and came up to `place`; of one version."""

    version: int
    at: datetime | None = None
    place: int = 0
    labels: int = 0
    total: float = 0.0
    sums: tuple[float, ...] = ()
    rises: tuple[Rise, ...] = ()


@dataclass(frozen=True, slots=True)
class ImpactEstimate:
    """What drift probably costs, without labels: the metric expected from the scores alone (of a regression, from the
    features) on reference and current rows, and the drop between them (positive is worse), for `relative` ones as a
    share of the reference. `error` is the standard error of the drop. Blind to a changed relation of target and
    features."""

    metric: str
    reference: float
    current: float
    drop: float
    relative: bool = False
    error: float = 0.0


class AlarmKind(StrEnum):
    """What an alarm is about."""

    DRIFT = "drift"
    PREDICTION_DRIFT = "prediction_drift"
    PERFORMANCE = "performance"
    QUALITY = "data_quality"
    FAILURE = "pipeline_failure"
    RELEASE = "release"


class AlarmState(StrEnum):
    """Where an alarm is: nobody has seen it, somebody is at it, it is over."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should know, with its evidence. `key` is the same for the same cause, so that it is
    sent once and not at every look; `false_alarm_rate` is per look. `cause` is the likely one, in a sentence, and
    `state` where it stands; a channel is sent an alarm once more when it is resolved. `shapes` are its pictures: what
    moved, in training and in the window."""

    key: str
    kind: AlarmKind
    at: datetime
    message: str
    evidence: Mapping[str, Value] = field(default_factory=dict)
    false_alarm_rate: float | None = None
    cause: str | None = None
    state: AlarmState = AlarmState.OPEN
    shapes: tuple[Shape, ...] = ()

    @property
    def id(self) -> str:
        """Eight characters that name this alarm and no other, also after it has been resolved and has come again."""
        return hashlib.sha256(f"{self.key} {self.at.isoformat()}".encode()).hexdigest()[:8]

    @property
    def severity(self) -> str:
        """How bad it is, in the words of pagers: what a model answers wrongly, or does not answer, is an error."""
        grave = (AlarmKind.PERFORMANCE, AlarmKind.FAILURE, AlarmKind.RELEASE)
        return "error" if self.kind in grave else "warning"


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """An alarm changed its state: when, by whom (`everfit` where a look found that it is over), and why."""

    alarm: str
    state: AlarmState
    at: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt to tell a channel of an alarm in a state; `error` is why it was refused, None if it was taken."""

    alarm: str
    state: AlarmState
    channel: str
    at: datetime
    error: str | None = None


class Trigger(StrEnum):
    """Why a retraining may start."""

    PERFORMANCE = "performance"
    DRIFT = "drift"
    SCHEDULE = "schedule"
    DATA = "data"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to retrain, and every reason for and against it; recorded also when the answer is no.

    `fell` is since when performance has fallen, where that is the trigger and labels date it. With `since`, rows before
    that time are to be left out, for labels have shown that the world was another one."""

    at: datetime
    retrain: bool
    trigger: Trigger | None
    reasons: tuple[str, ...]
    since: datetime | None = None
    fell: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retraining:
    """What came of a decision to retrain: the version made and whether it was released; `error` says why not, and
    `exit_code` is that of the error. A release that needs approvals is `waiting` for them. Nothing is released where
    the data and all else are `unchanged`, so that the version is the champion itself. `since` and `fell` are the
    decision's."""

    at: datetime
    retrained: bool
    reason: str
    version: int | None = None
    deployed: bool = False
    error: str | None = None
    exit_code: int = 0
    waiting: bool = False
    unchanged: bool = False
    since: datetime | None = None
    fell: datetime | None = None


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """One look at production: what arrived, what was found, what was decided. `tested` and `judged` say when drift and
    performance were last looked at, now or before, and `labels` is the place of the newest label that was there then,
    so that the next look needs to know of none but this. `version` is the champion's that was looked at."""

    at: datetime
    predictions: int
    drift: DriftReport | None
    performance: PerformanceReport | None
    impact: ImpactEstimate | None
    alarms: tuple[Alarm, ...]
    decision: Decision
    labels: int = 0
    tested: datetime | None = None
    judged: datetime | None = None
    streams: tuple[StreamAlarm, ...] = ()
    version: int | None = None
    quality: QualityLook | None = None
    losses: LossReport | None = None
