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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from everfit import loops
from everfit.application import application, checked, grpc, has_keys, is_certified, load, tls
from everfit.errors import Conflict, StorageError
from everfit.flow import lease
from everfit.flow.lease import Turn
from everfit.records.release import ReleaseState, Verdict
from everfit.records.schedule import Job, Slot
from everfit.records.watch import MonitorReport, Retraining
from everfit.scheduler import rounds
from everfit.serving import workers
from everfit.serving.app import Application
from everfit.serving.fleet import Fleet
from everfit.serving.server import bind, is_loopback
from everfit.serving.server import serve_on as listen
from everfit.versions import reconcile
from everfit.workspace import Workspace

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
    others: Sequence[Workspace] = (),
) -> None:
    """Answers requests until SIGINT, SIGTERM or `stop`, always from the ledger's route table: a release, a rollback or
    a canary's next step reaches the servers of this machine at once, and others within `serving.refresh`. `started` is
    told the port. With `others`, their models are answered for too, at the address and with the certificate of the
    first; all else is each project's own.

    A release that cannot be loaded is an alarm, and is shown by /ready and the metrics, while the one before goes on
    answering. Without a release the server runs and says 503 until there is one. Raises ProjectError when the address
    is not loopback or the port is taken, StorageError when the champion cannot be loaded at the start."""
    settings = workspace.project.serving
    at = (host or settings.host, settings.port if port is None else port)
    ended = stop or threading.Event()
    every = checked((workspace, *others))
    for one in every:
        load(one)
        loops.thread(one, "prediction log", one.ports.log.tend, TEND_EVERY, ended).start()
    try:
        if settings.grpc is not None:
            from everfit.serving import grpc_server

            grpc_server.check((at[0], settings.grpc.port), settings.workers)
        listener = bind(*at, protected=is_certified(workspace) or all(map(has_keys, every)))
        if settings.workers == 1:
            _answer(every, listener, started, ended)
        else:
            _supervise(every, listener, started or (lambda port: None), ended)
    finally:
        ended.set()


def work(workspace: Workspace, listener: int, tallies: Path, others: Sequence[Workspace] = ()) -> None:
    """One worker of several: answers on a socket that it was given, and counts in a folder with the others."""
    every = (workspace, *others)
    for one in every:
        one.tallies = tallies / one.project.name
        one.tallies.mkdir(exist_ok=True)
        load(one)
    ended = threading.Event()
    _answer(every, socket.socket(fileno=listener), workers.worker(ended), ended)


def _answer(
    every: Sequence[Workspace],
    listener: socket.socket,
    started: Callable[[int], None] | None,
    ended: threading.Event,
) -> None:
    """Serves on the socket, following each project's ledger and keys."""
    local, certified = is_loopback(listener.getsockname()[0]), is_certified(every[0])
    made = [application(one, local, certified) for one in every]
    app: Application | Fleet = made[0].app
    if len(every) > 1:
        apps = {one.project.name: each.app for one, each in zip(every, made, strict=True)}
        app = Fleet(apps, lambda: all(one.predictor.snapshot.table.arms for one in every))
    # What is loaded stays: without this the collector walks through all of it, in the middle of a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    sys.setswitchinterval(_TURN_SECONDS)
    with ExitStack() as stack:
        for one, each in zip(every, made, strict=True):
            stack.enter_context(loops.following(one, each.follows, ended))
        stack.enter_context(grpc(every[0], listener.getsockname()[0], made[0].access))
        listen(app, listener, started=started, stop=ended, tls=tls(every[0]))


def _supervise(
    every: Sequence[Workspace], listener: socket.socket, started: Callable[[int], None], ended: threading.Event
) -> None:
    loaded, count = every[0].loaded, every[0].project.serving.workers
    settings = [part for text in loaded.overrides for part in ("--set", text)]
    project = ["--project", str(loaded.path), "--env", loaded.environment]
    others = [part for one in every[1:] for part in ("--with", str(one.loaded.path))]
    with listener, TemporaryDirectory(prefix="everfit-workers-") as tallies:
        command = [sys.executable, "-c", _COMMAND, "serve", *project, *settings, *others, "--worker", tallies]
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
