"""Who answers: the ledger's events, the state of a release folded from them, the route table and the verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from everfit.records.table import Value


class Strategy(StrEnum):
    """How a new version comes in front of traffic."""

    IMMEDIATE = "immediate"  # at once
    ROLLING = "rolling"  # in equal parts, as time passes
    BLUE_GREEN = "blue_green"  # loaded beside the old one everywhere, then all at once
    SHADOW = "shadow"  # on copies of requests first, answering nobody
    CANARY = "canary"  # in rising steps, each by verdict
    AB = "ab"  # a fixed share of entities until it is decided
    THOMPSON = "thompson"  # a share that follows the labels


class EventKind(StrEnum):
    """What can happen to a version; the ledger holds nothing else."""

    REGISTERED = "registered"
    RELEASED = "released"  # a release began: canary or immediate
    ADVANCED = "advanced"  # the canary took its next step
    PROMOTED = "promoted"  # the version became champion
    ROLLED_BACK = "rolled_back"
    APPROVED = "approved"  # a person allows it in this environment
    GATED = "gated"  # it passed its gates, with their figures
    STAGED = "staged"  # its release waits for approvals
    ARCHIVED = "archived"  # it is out of use, and not released again by itself
    TESTED = "tested"  # servers were asked over HTTP what it answers


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One fact in the append-only ledger; `number` counts from 1 without gaps, `evidence` holds the figures that the
    fact rests on, `previous` is the SHA-256 of the event before, so that a changed history shows."""

    number: int
    kind: EventKind
    version: int
    at: datetime
    by: str
    reason: str
    evidence: Mapping[str, Value] = field(default_factory=dict)
    previous: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that may answer, with its share of traffic 0..1. `name` is `champion` or `challenger`, or the name that
    an A/B test gives it. One that is `mirrored` answers nobody: it scores, apart, what the others answer."""

    name: str
    version: int
    weight: float
    mirrored: bool = False
    salt: int = 0  # whose entities it has: the version that it began with, where that is another


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Who answers which share; `number` is the ledger's last event, so that a newer table is recognised. Weights sum
    to 1; an empty table means that nothing is released yet."""

    number: int
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    """A person allowed a version, and has `proven` to be the one by a key, or only said so."""

    version: int
    by: str
    at: datetime
    proven: bool = False


WHOLE = "whole_test"  # in a rollback's evidence: every challenger of the test goes, not one of them
PROVEN = "by_key"  # in an approval's evidence: the name is that of a key that was shown


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several challengers, with its share of entities; one that was `stopped` is answered by the champion.
    `earlier` are its shares in the steps before, each of what it and the champion's arm had together."""

    name: str
    version: int
    share: float
    stopped: bool = False
    earlier: tuple[float, ...] = ()

    def beside(self, control: float) -> float:
        """Its share of what it and the champion's arm have together."""
        return self.share / (self.share + control)


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The ledger folded: the champion, the one it replaced (the target of a rollback), and the challenger if a canary
    is under way at `step` (index into `steps`, shares 0..1) since `step_since`."""

    number: int = 0
    champion: int | None = None
    champion_since: datetime | None = None
    previous_champion: int | None = None
    challenger: int | None = None
    steps: tuple[float, ...] = ()
    step: int = 0
    step_since: datetime | None = None
    step_times: tuple[datetime, ...] = ()  # when each step so far began, the one under way last
    strategy: Strategy = Strategy.CANARY  # of the release under way
    names: tuple[str, str] = ("champion", "challenger")  # of its arms
    latest: int | None = None  # the last registered version
    rejected: tuple[int, ...] = ()  # versions rolled back: not released again by themselves
    registered: tuple[int, ...] = ()  # every registered version, in the order registered
    earlier: tuple[int, ...] = ()  # champions before this one that were not rolled back, oldest first
    authors: Mapping[int, str] = field(default_factory=dict)  # who registered each version
    gated: tuple[int, ...] = ()  # versions whose gates are in the ledger
    staged: int | None = None  # the version whose release waits for approvals
    staged_since: datetime | None = None
    approvals: tuple[Approval, ...] = ()  # given since the version was last rolled back
    archived: tuple[int, ...] = ()
    variants: tuple[Variant, ...] = ()  # where there are several challengers; `challenger` is the first that runs

    @property
    def control(self) -> float:
        """The share of the champion's own arm, where there are several challengers."""
        return 1.0 - sum(one.share for one in self.variants)

    @property
    def running(self) -> tuple[Variant, ...]:
        """Those of several challengers that were not stopped."""
        return tuple(one for one in self.variants if not one.stopped)

    @property
    def in_use(self) -> tuple[int, ...]:
        """The versions that answer, or that a rollback would let answer."""
        others = (one.version for one in self.running)
        parts = (self.champion, self.previous_champion, self.challenger, *others)
        return tuple(dict.fromkeys(version for version in parts if version is not None))


@dataclass(frozen=True, slots=True)
class Deployed:
    """A bundle that a target holds as files under `name`, with the hash of its content; `release` is the number of the
    ledger's event after which it is the one to use."""

    name: str
    model: str
    version: int
    digest: str
    release: int


def deployment(model: str, version: int) -> str:
    """The name of a deployment, by model and version, as file systems and DNS take it.

    >>> deployment("Churn classifier", 3), deployment("churn", 12)
    ('churn-classifier-v3', 'churn-v12')
    """
    return f"{re.sub(r'[^a-z0-9]+', '-', model.lower()).strip('-')[:200] or 'model'}-v{version}"


class Action(StrEnum):
    """What a look at a release ends in."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    INCONCLUSIVE = "inconclusive"


class Criterion(StrEnum):
    """What a challenger is judged by."""

    ERRORS = "errors"  # share of requests that failed, 0..1
    LATENCY = "latency_p99"  # how much longer the slowest hundredth takes, as a share of the champion's
    SCORES = "scores"  # greatest difference of the scores' cumulative shares, 0..1
    ACCURACY = "accuracy"  # share of labelled predictions that were wrong, 0..1
    BRIER = "brier"  # squared difference of probability and truth
    LOG_LOSS = "log_loss"  # nats a labelled prediction
    MAE = "mae"  # absolute error of a labelled value, as a share of the champion's on its test rows


LABELLED = frozenset({Criterion.ACCURACY, Criterion.BRIER, Criterion.LOG_LOSS, Criterion.MAE})


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion after a look: the challenger's excess over the champion in the criterion's unit, estimated and
    between two bounds; what it may be at most (`margin`); whether it is shown to be more (`worse`), or shown to be at
    most that (`fine`). `low` passes the true excess with a chance of at most `level`, ever; `high` is passed by it
    with one of at most `level_fine`. `champion` and `challenger` are how many observations each gave."""

    criterion: Criterion
    estimate: float | None
    low: float | None
    high: float | None
    margin: float
    level: float
    level_fine: float
    worse: bool
    fine: bool
    champion: int
    challenger: int


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One thing that a server was held to, and what was found."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """A server that answers callers, held to the ledger, whose champion was `version`; `fastest` is the time of its
    fastest answer in seconds, None where it gave none."""

    url: str
    version: int
    passed: bool
    checks: tuple[SmokeCheck, ...]
    fastest: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action with its reason and the figures it rests on; `error_rate` is the chance, over the whole release, that
    a challenger that is no worse is rolled back. `at` is the time of the look, `findings` has each criterion, and
    `picture` names the file that shows the bounds over time, if one was drawn."""

    action: Action
    reason: str
    error_rate: float
    evidence: Mapping[str, Value]
    version: int | None = None
    at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    picture: str = ""
