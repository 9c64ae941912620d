"""A workspace that goes on by itself: the server, and the loop that looks, decides, retrains and releases.

Nothing that fails in a loop ends it: it is told once, sent as an alarm, and tried again. What was begun and not ended
when the process stopped is on disk, and the next loop goes on with it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from everfit import loops
from everfit.errors import Conflict, EverfitError, ProjectError, StorageError
from everfit.flow import keys, lease
from everfit.flow.lease import Turn
from everfit.flow.observed import Observer
from everfit.project.sections.serving import Tls
from everfit.records.release import ReleaseState, Verdict
from everfit.records.schedule import Job, Slot
from everfit.records.watch import MonitorReport, Retraining
from everfit.scheduler import rounds
from everfit.serving import workers
from everfit.serving.access import Access
from everfit.serving.answering import Answering
from everfit.serving.app import create_app
from everfit.serving.commit import GroupCommit
from everfit.serving.front import LOOPBACK_NAMES
from everfit.serving.server import bind, is_loopback
from everfit.serving.server import serve_on as listen
from everfit.serving.watch_metrics import Observed, WatchMetrics
from everfit.versions import reconcile
from everfit.workspace import Workspace, explainer

TEND_EVERY = timedelta(minutes=1)
_COMMAND = "from everfit.cli.main import main; main()"
_REGISTRY = timedelta(minutes=1)
_TURN = timedelta(seconds=10)
_NAMES = {Job.DATA: "data", Job.TRAINING: "training", Job.MONITORING: "monitor"}  # in what is told
_LOOKING = 0.05  # the share of the time that looks at a canary may take
_CLOCK = timedelta(seconds=5)  # how often the schedule looks at the clock
# A request makes some hundred objects and leaves none in a cycle.
_OBJECTS_A_COLLECTION = 20_000
# How long a thread beside the loop may keep it waiting for the interpreter: ten times less than by default.
_TURN_SECONDS = 0.0005
_AT_ONCE = timedelta(seconds=0.1)  # how soon an order to go back is obeyed while the state store is away


@dataclass(frozen=True, slots=True)
class Judged:
    """A look at the canary under way, and the release after it."""

    verdict: Verdict
    state: ReleaseState


Happening = MonitorReport | Retraining | Judged | Slot
Tell = Callable[[Happening], None]


def serve(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    started: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Answers requests until SIGINT, SIGTERM or `stop`, always from the ledger's route table: a release, a rollback or
    a canary's next step reaches the servers of this machine at once, and others within `serving.refresh`. `started` is
    told the port.

    A release that cannot be loaded is an alarm, and is shown by /ready and the metrics, while the one before goes on
    answering. Without a release the server runs and says 503 until there is one. Raises ProjectError when the address
    is not loopback or the port is taken, StorageError when the champion cannot be loaded at the start."""
    settings = workspace.project.serving
    at = (host or settings.host, settings.port if port is None else port)
    ended = stop or threading.Event()
    _load(workspace)
    loops.thread(workspace, "prediction log", workspace.ports.log.tend, TEND_EVERY, ended).start()
    try:
        if settings.grpc is not None:
            from everfit.serving import grpc_server

            grpc_server.check((at[0], settings.grpc.port), settings.workers)
        listener = bind(*at, protected=_is_protected(workspace))
        if settings.workers == 1:
            _answer(workspace, listener, started, ended)
        else:
            _supervise(workspace, listener, started or (lambda port: None), ended)
    finally:
        ended.set()


def work(workspace: Workspace, listener: int, tallies: Path) -> None:
    """One worker of several: answers on a socket that it was given, and counts in a folder with the others."""
    workspace.tallies = tallies
    ended = threading.Event()
    _load(workspace)
    _answer(workspace, socket.socket(fileno=listener), workers.worker(ended), ended)


def _is_protected(workspace: Workspace) -> bool:
    tls = workspace.project.serving.tls
    try:
        return (tls is not None and tls.authority is not None) or bool(
            keys.followed(workspace.ports.state, workspace.ports.folder)
        )
    except StorageError:  # closed, see `_answer`
        return True


def _answer(
    workspace: Workspace, listener: socket.socket, started: Callable[[int], None] | None, ended: threading.Event
) -> None:
    """Serves on the socket, following the ledger and the keys."""
    settings = workspace.project.serving
    local = is_loopback(listener.getsockname()[0])
    certified = settings.tls is not None and settings.tls.authority is not None
    access = Access(required=not local and not certified, rate=settings.limits.rate)
    app = create_app(
        workspace.predictor,
        name=workspace.project.name,
        response=settings.response,
        limits=settings.limits,
        labels=workspace.ports.labels,
        explainer=explainer(workspace),
        hosts=settings.hosts or (LOOPBACK_NAMES if local else None),
        access=access,
        approve=lambda version, reason, key: _approved(workspace, version, reason, key),
        waits=settings.log.fsync == "always",
        batches=settings.batching == "auto",
    )

    workspace.predictor.metrics.registry.register(WatchMetrics(_observing(workspace)))

    def told() -> None:
        access.tell(keys.followed(workspace.ports.state, workspace.ports.folder))

    try:
        told()
    except StorageError:  # the state store is away and never told this machine: nobody is let in until it does
        access.close()
    # Each a thread of its own: a store that hangs keeps nobody from an order to go back.
    follows = (
        ("routes", lambda: _follow(workspace), settings.refresh),
        ("emergency", workspace.replica.obey, _AT_ONCE),
        ("keys", told, settings.refresh),
    )
    # What is loaded stays: without this the collector walks through all of it, in the middle of a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    sys.setswitchinterval(_TURN_SECONDS)
    with loops.following(workspace, follows, ended), _grpc(workspace, listener, access):
        listen(app, listener, started=started, stop=ended, tls=_tls(workspace))


def _grpc(workspace: Workspace, listener: socket.socket, access: Access) -> AbstractContextManager[object]:
    """The inference protocol over gRPC while the block runs, where the project wants it."""
    settings = workspace.project.serving
    if settings.grpc is None:
        return nullcontext()
    from everfit.serving import grpc_server
    from everfit.serving.grpc_inference import Inference

    log = workspace.ports.log
    commit = GroupCommit(log, waits=settings.log.fsync == "always")
    answering = Answering(workspace.predictor, commit, settings.batching == "auto")
    inference = Inference(answering, settings.response, settings.limits)
    address = (listener.getsockname()[0], settings.grpc.port)
    return grpc_server.running(
        inference, address, settings.limits, access, _tls(workspace), shared=settings.workers > 1
    )


def _observing(workspace: Workspace) -> Callable[[], Observed]:
    """What reads the records for /metrics; made when it is first asked, for the state store may be away until then."""
    made = cache(lambda: Observer(workspace.ports.state))

    def read() -> Observed:
        return made()()

    return read


def _tls(workspace: Workspace) -> Tls | None:
    """The files with their folder. Raises ProjectError for one that is not there."""
    given, root = workspace.project.serving.tls, workspace.loaded.root
    if given is None:
        return None
    found = {name: root / path for name, path in given.model_dump().items() if path is not None}
    for name, path in found.items():
        if not path.is_file():
            raise ProjectError("there is no such file", where=f"serving.tls.{name}: {path}", fix="correct the path")
    return Tls(**{name: str(path) for name, path in found.items()})


def _supervise(
    workspace: Workspace, listener: socket.socket, started: Callable[[int], None], ended: threading.Event
) -> None:
    loaded, count = workspace.loaded, workspace.project.serving.workers
    settings = [part for text in loaded.overrides for part in ("--set", text)]
    project = ["--project", str(loaded.path), "--env", loaded.environment]
    with listener, TemporaryDirectory(prefix="everfit-workers-") as tallies:
        command = [sys.executable, "-c", _COMMAND, "serve", *project, *settings, "--worker", tallies]
        workers.Workers(command, listener, count).run(started, ended)


def watch(workspace: Workspace, stop: threading.Event, act: bool = True, tell: Tell = lambda happening: None) -> None:
    """Looks at production every `monitoring.every` until `stop`. With `act` it does so by the times of `schedule`, does
    what else these ask for, retrains as decided, releases what passes its gates, judges a canary every `release.look`,
    looks for moves made by hand in the registry every minute, and first goes on with a retraining that was stopped; all
    that while it is this process' turn to act."""
    training = threading.Lock()

    def look() -> MonitorReport:
        report = workspace.monitor()
        tell(report)
        if act and report.decision.retrain and training.acquire(blocking=False):
            try:
                tell(workspace.retrain(report.decision, stop.is_set))
            finally:
                training.release()
        return report

    if act:
        _act(workspace, look, training, stop, tell)
    else:
        loops.repeat(workspace, "monitor", look, workspace.project.monitoring.every, stop)


def _act(
    workspace: Workspace, look: Callable[[], MonitorReport], training: threading.Lock, stop: threading.Event, tell: Tell
) -> None:
    turn = Turn(workspace.author)
    keep = _keeping(workspace, turn)
    while not (turn.held() or stop.is_set()):
        loops.once(workspace, "turn", keep, loops.Told())
        stop.wait(0 if turn.held() else _TURN.total_seconds())

    def judge() -> None:
        verdict, state = workspace.look()
        if verdict is not None:
            tell(Judged(verdict, state))

    by_clock = rounds(workspace, look, training, stop, tell)
    works: dict[Job, Callable[[], object]] = {Job.MONITORING: look, **by_clock}
    rhythms = {Job.MONITORING: workspace.project.monitoring.every, **dict.fromkeys(by_clock, _CLOCK)}
    every = workspace.project.release.look
    canary = loops.thread(workspace, "canary", _in(turn, judge), every, stop, _LOOKING)
    for thread in (
        canary,
        loops.thread(workspace, "turn", keep, _TURN, stop),
        loops.thread(workspace, "registry", _in(turn, lambda: reconcile(workspace)), _REGISTRY, stop),
    ):
        thread.start()
    loops.once(workspace, "retraining", _in(turn, lambda: _resume(workspace, stop, tell)), loops.Told())
    jobs = [loops.thread(workspace, _NAMES[job], _in(turn, work), rhythms[job], stop) for job, work in works.items()]
    for thread in jobs:
        thread.start()
    for thread in (*jobs, canary):
        thread.join()  # the others may be ended anywhere
    turn.give(workspace.ports.state)


def _in(turn: Turn, work: Callable[[], object]) -> Callable[[], object]:
    """The work, done only while it is this process' turn."""
    return lambda: work() if turn.held() else None


def _keeping(workspace: Workspace, turn: Turn) -> Callable[[], None]:
    """Keeps the turn; whose it is instead is told once."""
    told = loops.Told()

    def keep() -> None:
        try:
            turn.keep(workspace.ports.state)
        except Conflict as error:
            if told.is_news(error.what):
                workspace.progress.note(f"standing by: {error.what}")

    return keep


def _check_alone(workspace: Workspace) -> None:
    try:
        lease.check_alone(workspace.ports.state)
    except Conflict:
        raise
    except StorageError as error:  # nobody can act before it is back, and then one at a time
        workspace.progress.note(f"the state store is away: {error.what}")


def up(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    started: Callable[[int], None] = lambda port: None,
    tell: Tell = lambda happening: None,
) -> bool:
    """Serves and watches until SIGINT or SIGTERM; the watch begins when requests are answered. False when a retraining
    is still under way a few seconds after the end: see `leave`. Raises what `serve` raises, and Conflict where another
    process of this machine does the same already."""
    _check_alone(workspace)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(workspace, stop, True, tell), name="watch", daemon=True)

    def ready(bound: int) -> None:
        started(bound)
        watcher.start()

    try:
        serve(workspace, host, port, ready, stop)
    finally:
        ended = _ended(watcher, stop)
    return ended


def watch_until_signal(workspace: Workspace, act: bool, tell: Tell) -> bool:
    """`watch` until SIGINT or SIGTERM; to be called from the main thread. False, and Conflict, as from `up`."""
    if act:
        _check_alone(workspace)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(workspace, stop, act, tell), name="watch", daemon=True)
    with _terminable():
        try:
            watcher.start()
            stop.wait()
        except KeyboardInterrupt:
            return _ended(watcher, stop)
    return True


def leave(workspace: Workspace) -> NoReturn:
    """Ends the process at once, in the middle of a step. Waiting for the step could take as long as a model takes to
    fit; what is finished is stored, and the next `watch` goes on from there."""
    workspace.progress.note("a retraining was under way: the next `everfit up` goes on with it")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _load(workspace: Workspace) -> None:
    """What is released; the champion alone will do, the follower tells what is wrong with the rest."""
    try:
        workspace.refresh()
    except EverfitError:
        if not workspace.predictor.snapshot.table.arms:
            raise


def _follow(workspace: Workspace) -> None:
    """Follows the ledger; what cannot be loaded is rolled back, if `release.guard.automatic` says so."""
    try:
        workspace.refresh()
    except EverfitError:
        if workspace.project.release.guard.automatic:
            _give_up(workspace)
        raise


def _approved(workspace: Workspace, version: int, reason: str, key: str) -> dict[str, object]:
    """An approval from afar. The registry hears of it by `reconcile`: its client is too large for a server."""
    from everfit.rollout import approval

    versions = workspace.versions
    after = versions.approve(version, reason, key, tell=False)
    left = approval.missing(after, version, versions.rule)
    waits = approval.waiting(after, version, versions.rule) if left else ""
    return {"version": version, "by": after.approvals[-1].by, "missing": left, "waits_for": waits}


def _give_up(workspace: Workspace) -> None:
    """Rolls back what cannot be loaded. Where the ledger itself cannot be read, nothing is known of that."""
    from everfit.flow import holding

    ports, trusted = workspace.ports, workspace.project.training.trusted
    with suppress(EverfitError):
        why = holding.lost(ports.state, workspace.predictor, ports.artifacts, trusted)
        if why:
            workspace.rollback(why)


def _resume(workspace: Workspace, stop: threading.Event, tell: Tell) -> None:
    from everfit.flow import retraining

    stopped = retraining.unfinished(workspace.ports.state)
    if stopped is not None:
        workspace.progress.note(f"going on with the retraining of {stopped.at:%Y-%m-%d %H:%M} UTC, which was stopped")
        tell(workspace.retrain(stopped, stop.is_set))


def _ended(watcher: threading.Thread, stop: threading.Event) -> bool:
    stop.set()
    if watcher.ident is not None:
        watcher.join(loops.GRACE_SECONDS)
    return not watcher.is_alive()


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as SIGINT: KeyboardInterrupt in the main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
