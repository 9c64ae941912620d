"""A decision to retrain carried out: train, pass the gates, release; the cooldown counts from its beginning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from everfit.errors import EverfitError
from everfit.flow import ledger
from everfit.flow.run import runs
from everfit.ports import StateStore
from everfit.records.codec import decode, encode
from everfit.records.release import EventKind
from everfit.records.run import Status
from everfit.records.watch import Alarm, AlarmKind, Decision, Retraining, Trigger

RETRAININGS = "retrainings"


def act(
    state: StateStore,
    decision: Decision,
    train: Callable[[datetime | None], int],
    release: Callable[[int], object],
    stopped: Callable[[], bool] = lambda: False,
) -> Retraining:
    """Trains, on rows since the decision's time where it has one, and releases if it says so. What everfit refuses
    (data that broke its checks, gates that failed, a version that is champion already) ends in a record that says so,
    and leaves the champion where it is. What only the clock asked for, and comes to the champion itself, is no failure.

    The beginning is written down first, so that a killed retraining counts for the cooldown too. One that fails while
    the process is being `stopped` is left as if killed: the signal may have reached the workers as well."""
    reason = "; ".join(decision.reasons)
    done = Retraining(decision.at, decision.retrain, reason, since=decision.since, fell=decision.fell)
    if not decision.retrain:
        return done
    state.append(RETRAININGS, encode(done))
    try:
        done = replace(done, version=train(decision.since))
        if decision.trigger is Trigger.SCHEDULE and ledger.current(state).champion == done.version:
            done = replace(done, unchanged=True)
            state.append(RETRAININGS, encode(done))
            return done
        if not _is_released(state, done):
            release(done.version or 0)
        waiting = ledger.current(state).staged == done.version
        done = replace(done, deployed=not waiting, waiting=waiting)
    except EverfitError as error:
        if stopped():
            return done
        done = replace(done, error=str(error), exit_code=error.exit_code)
    state.append(RETRAININGS, encode(done))
    return done


def _is_released(state: StateStore, done: Retraining) -> bool:
    """Whether this very retraining, killed before it could say so, has released its version and it is in use."""
    since = [event for event in ledger.events(state) if event.at >= done.at and event.version == done.version]
    now = ledger.current(state)
    in_use = done.version in (now.champion, now.challenger)
    return in_use and any(event.kind in (EventKind.RELEASED, EventKind.PROMOTED) for event in since)


def under_way(state: StateStore) -> bool:
    """Whether a training runs, here or elsewhere."""
    return any(run.status is Status.RUNNING and run.pipeline == "training" for run in runs(state))


def unfinished(state: StateStore) -> Decision | None:
    """The decision whose retraining began and was stopped before its end, to be carried out again; None when the last
    one ended, or is under way in a process that is alive."""
    last = state.last(RETRAININGS)
    if last is None or under_way(state):
        return None
    begun = decode(Retraining, last[1], where=f"retraining {last[0]}")
    if not begun.retrained or begun.deployed or begun.waiting or begun.unchanged or begun.error is not None:
        return None
    return Decision(begun.at, True, None, (begun.reason,), begun.since, begun.fell)


def history(state: StateStore) -> list[Retraining]:
    """All retrainings so far, oldest first, each as it was last written."""
    found = [decode(Retraining, text, where=f"retraining {number}") for number, text in state.read(RETRAININGS)]
    return list({one.at: one for one in found}.values())


def left_out(past: Sequence[Retraining]) -> datetime | None:
    """Since when the rows are that the last retraining to release anything learned from; None for all rows."""
    return next((one.since for one in reversed(past) if one.deployed), None)


def failure(done: Retraining) -> tuple[Alarm, ...]:
    """The alarm about a retraining that brought no new model in front of traffic."""
    if done.error is None:
        return ()
    message = f"the retraining begun at {done.at:%Y-%m-%d %H:%M} released nothing: {done.error}"
    return (Alarm(f"{AlarmKind.FAILURE}:{done.at.isoformat()}:retraining", AlarmKind.FAILURE, done.at, message),)
