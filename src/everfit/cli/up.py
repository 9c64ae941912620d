"""`everfit up`: all of it in one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("up")
@click.option("--host", help="The address to bind; only loopback is allowed.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@on_project
def command(workspace: Workspace, output: Output, host: str | None, port: int | None) -> None:
    """Serve, watch, judge canaries, retrain and release, in one process, until interrupted.

    \b
    Examples:
      everfit up
      everfit up --set monitoring.every=5m
    """
    from everfit.cli.monitor import show
    from everfit.cli.release import show_state, show_verdict
    from everfit.cli.serve import announce
    from everfit.records.release import Action, ReleaseState, Verdict
    from everfit.service import serve, watch

    def judged(verdict: Verdict, state: ReleaseState) -> None:
        if verdict.action is not Action.WAIT:
            show_verdict(verdict, output)
            show_state(state, output)

    stop = threading.Event()
    watcher = threading.Thread(
        target=watch,
        args=(workspace, stop, True, lambda report: show(report, output, workspace.project.monitoring.rows), judged),
        name="watch",
        daemon=True,
    )
    watcher.start()
    try:
        serve(workspace, host, port, lambda bound: announce(workspace, output, host, bound), stop)
    finally:
        stop.set()
        watcher.join(timeout=5)
