"""A workspace that goes on by itself: the server, and the loop that looks, decides, retrains and releases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from everfit.errors import EverfitError
from everfit.flow import alerting
from everfit.records.release import ReleaseState, Verdict
from everfit.records.watch import Alarm, AlarmKind, MonitorReport
from everfit.serving.app import create_app
from everfit.serving.server import serve as listen
from everfit.workspace import Workspace


def serve(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    started: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Answers requests until SIGINT, SIGTERM or `stop`, always from the ledger's route table: a release, a rollback or
    a canary's next step reaches the server within `serving.refresh`. `started` is told the port.

    Raises ProjectError when the address is not loopback or the port is taken. Without a release the server runs and
    says 503 until there is one."""
    settings = workspace.project.serving
    ended = stop or threading.Event()
    workspace.refresh()
    app = create_app(
        workspace.predictor,
        name=workspace.project.name,
        response=settings.response,
        limits=settings.limits,
        labels=workspace.ports.labels,
    )
    follower = threading.Thread(
        target=_repeat, args=(workspace, workspace.refresh, settings.refresh, ended), name="routes", daemon=True
    )
    follower.start()
    try:
        listen(app, host or settings.host, settings.port if port is None else port, started=started, stop=ended)
    finally:
        ended.set()
        follower.join()


def watch(
    workspace: Workspace,
    stop: threading.Event,
    act: bool = True,
    seen: Callable[[MonitorReport], None] = lambda report: None,
    judged: Callable[[Verdict, ReleaseState], None] = lambda verdict, state: None,
) -> None:
    """Looks at production every `monitoring.every` and at a canary every `release.look`, until `stop`; with `act` it
    also retrains and releases as decided. What everfit refuses is told, sent as an alarm, and tried again."""

    def look() -> None:
        report = workspace.monitor()
        seen(report)
        if act:
            workspace.retrain(report.decision)

    def judge() -> None:
        verdict, state = workspace.look()
        if verdict is not None:
            judged(verdict, state)

    canary = threading.Thread(
        target=_repeat, args=(workspace, judge, workspace.project.release.look, stop), name="canary", daemon=True
    )
    canary.start()
    _repeat(workspace, look, workspace.project.monitoring.every, stop)
    canary.join()


def _repeat(workspace: Workspace, work: Callable[[], object], every: timedelta, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            work()
        except EverfitError as error:
            workspace.progress.note(str(error))
            alerting.send(
                [_failed(error, datetime.now(UTC))],
                workspace.ports.channels,
                workspace.ports.state,
                workspace.progress,
            )
        stop.wait(every.total_seconds())


def _failed(error: EverfitError, now: datetime) -> Alarm:
    """One alarm a day for the same failure."""
    key = f"{AlarmKind.FAILURE}:{now:%Y-%m-%d}:{type(error).__name__}"
    return Alarm(key, AlarmKind.FAILURE, now, str(error))
