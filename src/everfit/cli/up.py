"""`everfit up`: all of it in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("up")
@click.option("--host", help="The address to bind; beyond loopback only once a key exists.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@on_project
def command(workspace: Workspace, output: Output, host: str | None, port: int | None) -> None:
    """Serve, watch, judge canaries, retrain and release, in one process, until interrupted.

    One process at a time acts on a project: a second one on the same machine is refused, and one on another machine
    serves and stands by for the rest. What fails in the watch is an alarm, and the server goes on. A retraining that is
    under way at the end is gone on with at the next start. With --json, each thing that happens is one line of JSON.

    \b
    Examples:
      everfit up
      everfit up --set monitoring.every=5m
      everfit up --json > everfit.log
    """
    from everfit.cli.monitor import teller
    from everfit.cli.progress import Lines
    from everfit.cli.serve import announce
    from everfit.service import leave, up

    workspace.progress = Lines()
    ended = up(workspace, host, port, lambda bound: announce(workspace, output, host, bound), teller(workspace, output))
    if not ended:
        leave(workspace)
