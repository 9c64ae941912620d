"""`everfit serve`: answer requests."""

from __future__ import annotations

from collections.abc import Sequence
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
@click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Another project file, whose model is answered for too; may be repeated.",
)
@click.option("--worker", type=(click.Path(path_type=Path), int), hidden=True)
@on_project
def command(
    workspace: Workspace,
    output: Output,
    host: str | None,
    port: int | None,
    others: tuple[Path, ...],
    worker: tuple[Path, int] | None,
) -> None:
    """Answer requests with what is released, until interrupted.

    POST /predict takes raw columns, or the entity alone, whose row is then read from the online store; POST /feedback
    takes labels; GET /docs shows it all with an example. Every answer is in the prediction log before it leaves. With
    several projects each has its routes below /models/NAME, and the inference protocol has their names in its paths.

    \b
    Examples:
      everfit serve
      everfit serve --port 8080
      everfit serve --set serving.workers=4
      everfit serve -p churn/everfit.yaml --with fraud/everfit.yaml
      curl -s localhost:8000/predict -H 'content-type: application/json' -d '{"customerID": "7590-VHVEG"}'
    """
    from everfit.cli.progress import Lines
    from everfit.service import serve, work
    from everfit.workspace import load

    beside = [load(path, workspace.loaded.environment) for path in others]
    for one in (workspace, *beside):
        one.progress = Lines()
    if worker is not None:  # started by another `everfit serve`, which told all there is to tell
        tallies, listener = worker
        work(workspace, listener, tallies, beside)
        return
    serve(workspace, host, port, lambda bound: announce(workspace, output, host, bound, beside), others=beside)


def announce(
    workspace: Workspace, output: Output, host: str | None, port: int, others: Sequence[Workspace] = ()
) -> None:
    """Says where the server is, once it answers, and each project's models."""
    name = host or workspace.project.serving.host
    root = f"http://{f'[{name}]' if ':' in name else name}:{port}"
    for one in (workspace, *others):
        url = f"{root}/models/{one.project.name}" if others else root
        table = one.predictor.snapshot.table
        who = ", ".join(f"version {arm.version} ({arm.weight:.0%})" for arm in table.arms)
        output.line(f"[bold green]Serving[/] {one.project.name} at [bold]{url}[/]; try {url}/docs")
        output.line(who or "[yellow]nothing is released yet: requests get 503 until `everfit release`[/]")
        output.event({"url": url, "routes": table})
