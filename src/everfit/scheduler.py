"""What `everfit up` does by the clock: reading and checking the data, training, looking at production."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from everfit.errors import ChecksFailed, GateFailed, ReleaseError
from everfit.flow import ledger, missing, retraining, schedule
from everfit.flow.schedule import Came
from everfit.records.schedule import Job, Slot
from everfit.records.watch import MonitorReport, Retraining
from everfit.retraining import policy
from everfit.workspace import Workspace, ingest

# Another try finds the same.
_ANSWERS = {error.exit_code for error in (ChecksFailed, GateFailed, ReleaseError)}
Happening = MonitorReport | Retraining | Slot


def rounds(
    workspace: Workspace,
    looking: Callable[[], MonitorReport],
    one: threading.Lock,
    stop: threading.Event,
    tell: Callable[[Happening], None],
) -> Mapping[Job, Callable[[], None]]:
    """For each job that has times, what is to be called every few seconds: it does the job when it is due. Who holds
    `one` trains."""
    works: Mapping[Job, Callable[[], Came]] = {
        Job.DATA: lambda: _data(workspace),
        Job.TRAINING: lambda: _training(workspace, one, stop, tell),
        Job.MONITORING: lambda: _monitoring(looking()),
    }
    found = schedule.plans(workspace.project.schedule)
    return {job: _round(workspace, plan, works[job], tell) for job, plan in found.items()}


def _round(
    workspace: Workspace, plan: schedule.Plan, work: Callable[[], Came], tell: Callable[[Happening], None]
) -> Callable[[], None]:
    ports = workspace.ports

    def told(slot: Slot) -> None:
        tell(slot)
        missing.follow(slot, ports.channels, ports.state, workspace.progress)

    return lambda: schedule.tick(ports.state, plan, work, workspace.clock, told)


def _data(workspace: Workspace) -> Came:
    try:
        version, quality = ingest(workspace)
    except ChecksFailed as error:  # told as an alarm about the data already
        return Came(error.what.partition("\n")[0], error=True, again=False)
    return Came(f"{version.rows:,} rows, {len(quality.results)} checks hold, dataset {version.fingerprint[:12]}")


def _monitoring(report: MonitorReport) -> Came:
    return Came("; ".join(report.decision.reasons))


def _training(
    workspace: Workspace, one: threading.Lock, stop: threading.Event, tell: Callable[[Happening], None]
) -> Came:
    state = workspace.ports.state
    release, plan = ledger.current(state), schedule.plans(workspace.project.schedule)[Job.TRAINING]
    free = one.acquire(blocking=False)
    try:
        running, released = not free or retraining.under_way(state), release.champion is not None
        since = retraining.left_out(retraining.history(state))
        decision = policy.by_the_clock(str(plan), running, release.challenger, released, workspace.clock(), since)
        if not decision.retrain:
            return Came(f"not trained: {'; '.join(decision.reasons[1:])}")
        done = workspace.retrain(decision, stop.is_set)
    finally:
        if free:
            one.release()
    tell(done)
    return _came(done)


def _came(done: Retraining) -> Came:
    if done.error is not None:
        return Came(done.error.partition("\n")[0], error=True, again=done.exit_code not in _ANSWERS)
    if done.unchanged:
        return Came(f"nothing changed: version {done.version} is champion already")
    if done.waiting or done.deployed:
        return Came(f"version {done.version} {'waits for approval' if done.waiting else 'is being released'}")
    return Came("it was stopped, and is gone on with at the next start", error=True, again=False)
