"""`everfit serve`: answer requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("serve")
@click.option("--host", help="The address to bind; beyond loopback only once a key exists.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--worker", type=(click.Path(path_type=Path), int), hidden=True)
@on_project
def command(
    workspace: Workspace, output: Output, host: str | None, port: int | None, worker: tuple[Path, int] | None
) -> None:
    """Answer requests with what is released, until interrupted.

    POST /predict takes raw columns, or the entity alone, whose row is then read from the online store; POST /feedback
    takes labels; GET /docs shows it all with an example. Every answer is in the prediction log before it leaves.

    \b
    Examples:
      everfit serve
      everfit serve --port 8080
      everfit serve --set serving.workers=4
      curl -s localhost:8000/predict -H 'content-type: application/json' -d '{"customerID": "7590-VHVEG"}'
    """
    from everfit.cli.progress import Lines
    from everfit.service import serve, work

    workspace.progress = Lines()
    if worker is not None:  # started by another `everfit serve`, which told all there is to tell
        tallies, listener = worker
        work(workspace, listener, tallies)
        return
    serve(workspace, host, port, started=lambda bound: announce(workspace, output, host, bound))


def announce(workspace: Workspace, output: Output, host: str | None, port: int) -> None:
    """Says where the server is, once it answers."""
    name = host or workspace.project.serving.host
    url = f"http://{f'[{name}]' if ':' in name else name}:{port}"
    table = workspace.predictor.snapshot.table
    who = ", ".join(f"version {arm.version} ({arm.weight:.0%})" for arm in table.arms)
    output.line(f"[bold green]Serving[/] {workspace.project.name} at [bold]{url}[/]; try {url}/docs")
    output.line(who or "[yellow]nothing is released yet: requests get 503 until `everfit release`[/]")
    output.event({"url": url, "routes": table})
