"""After a release: the servers that answer callers are asked over HTTP, and held to what the ledger says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everfit.errors import EverfitError, NotReady, ReleaseError
from everfit.flow import ledger
from everfit.flow.asking import Answered, Asking
from everfit.flow.rehearsal import TIMES, UNKNOWN, right
from everfit.ports import StateStore
from everfit.records.release import Arm, EventKind, ReleaseState, SmokeCheck, SmokeTest
from everfit.records.table import Value
from everfit.rollout import routing
from everfit.rollout.strategy import Draft
from everfit.serving.model import Model
from everfit.serving.rows import RawRow

_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Expected:
    """What the servers are held to: the release, its models by version, what they make of a raw row before a model sees
    it, the name of the score, the longest seconds of an answer."""

    release: ReleaseState
    models: Mapping[int, Model]
    mask: Callable[[RawRow], RawRow]
    score: str
    longest: float


def smoke_test(ask: Asking, expected: Expected, wait: timedelta) -> SmokeTest:
    """Asks a server for what it says of itself, for its champion's example and for a row that cannot be read. A server
    may take up to `wait` to follow the ledger. Never raises for what is found: the checks say it."""
    checks: list[SmokeCheck] = []
    fastest: float | None = None
    if _passed(checks, "follows the ledger", lambda: _follows(ask, expected.release, wait)):
        _passed(checks, "is ready", lambda: _ready(ask))
        _passed(checks, "refuses what it cannot read", lambda: _refuses(ask, expected))
        try:
            fastest = _answers(ask, expected)
            told = f"{TIMES} answers to the bit, the fastest in {1000 * fastest:.1f} ms"
            checks.append(SmokeCheck("answers its example", True, told))
        except EverfitError as error:
            checks.append(SmokeCheck("answers its example", False, error.what))
    version = expected.release.champion or 0
    return SmokeTest(ask.url, version, all(check.passed for check in checks), tuple(checks), fastest)


def record(state: StateStore, found: SmokeTest, by: str, now: datetime | None = None) -> ReleaseState:
    """Writes the test into the ledger, as evidence about the version that was champion."""
    failed = [f"{check.name}: {check.told}" for check in found.checks if not check.passed]
    reason = f"smoke test failed; {'; '.join(failed)}" if failed else f"smoke test passed over {found.url}"
    evidence: dict[str, Value] = {"url": found.url, "passed": found.passed, "checks": len(found.checks)}
    if found.fastest is not None:
        evidence["fastest_ms"] = round(1000 * found.fastest, 3)
    return ledger.commit(state, lambda seen: (Draft(EventKind.TESTED, found.version, reason, evidence),), by, now)


def _passed(checks: list[SmokeCheck], name: str, look: Callable[[], str]) -> bool:
    try:
        checks.append(SmokeCheck(name, True, look()))
    except EverfitError as error:
        checks.append(SmokeCheck(name, False, error.what))
    return checks[-1].passed


def _follows(ask: Asking, release: ReleaseState, wait: timedelta) -> str:
    """The server's route table is the ledger's."""
    until = time.monotonic() + wait.total_seconds()
    arms = routing.table(release).arms
    while True:
        try:
            answer = ask.get("/version")
            _refused(answer)
            if _same(answer.body["arms"], arms) and answer.body["release"] >= release.number:
                return f"release {answer.body['release']}, " + ", ".join(
                    f"version {arm.version} at {arm.weight:.0%}" for arm in arms
                )
            problem = ReleaseError(f"it serves release {answer.body['release']}, the ledger is at {release.number}")
        except NotReady as error:  # it may be starting
            problem = ReleaseError(error.what)
        if time.monotonic() >= until:
            raise problem
        time.sleep(_PAUSE)


def _same(served: Sequence[Mapping[str, object]], arms: Sequence[Arm]) -> bool:
    return [(arm["version"], arm["share"]) for arm in served] == [(arm.version, arm.weight) for arm in arms]


def _ready(ask: Asking) -> str:
    answer = ask.get("/ready")
    _refused(answer)
    if behind := answer.body.get("behind"):
        raise ReleaseError(f"it is behind: {behind}")
    return "ready, and not behind"


def _answers(ask: Asking, expected: Expected) -> float:
    """The champion's example, as whichever arm answers makes of it."""
    example = expected.models[expected.release.champion or 0].manifest.example
    fastest = float("inf")
    for _ in range(TIMES):
        answer = ask.post("/predict", example)
        _refused(answer)
        model = expected.models.get(answer.body.get("version"))
        if model is None:
            raise ReleaseError(f"version {answer.body.get('version')} answers, which is not released")
        right(answer, expected.score, float(model.one(expected.mask(example)).score))
        fastest = min(fastest, answer.seconds)
    if fastest > expected.longest:
        raise ReleaseError(f"it took {1000 * fastest:.0f} ms for one row, {1000 * expected.longest:.0f} ms are allowed")
    return fastest


def _refuses(ask: Asking, expected: Expected) -> str:
    example = expected.models[expected.release.champion or 0].manifest.example
    answer = ask.post("/predict", {**example, UNKNOWN: "?"})
    if answer.status != 422:
        raise ReleaseError(f"it did not refuse a row with a column that the table does not have ({answer.told})")
    return "a row with an unknown column"


def _refused(answer: Answered) -> None:
    """Raises what the server said where it is no answer."""
    if answer.status in (401, 403):
        raise ReleaseError(f"it lets nobody in without a key of the role predict ({answer.told}): set EVERFIT_KEY")
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise ReleaseError(f"it does not answer ({answer.told})")
