"""`everfit report`: what was found in production, as a page for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("report")
@click.option(
    "--output",
    "-o",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="The file to write.",
)
@click.option("--evidently", is_flag=True, help="Evidently's report of the same windows instead, by Evidently itself.")
@on_project
def command(workspace: Workspace, output: Output, target: Path, evidently: bool) -> None:
    """Write what was found in production as one page of HTML: drift by column with pictures, the score, performance
    with its intervals over time, labels, alarms, and every decision with its reasons.

    It shows what the looks have found and looks at nothing itself. The page loads nothing from anywhere, runs no
    script, and shows no values of personal columns. With --json the same is printed as data, and no file is written.

    \b
    Examples:
      everfit report
      everfit report -o /srv/reports/churn.html
      everfit report --evidently -o evidently.html
      everfit report --json
    """
    from everfit import atomic
    from everfit.reporting.page import page
    from everfit.reports import report
    from everfit.wiring import begun

    if not begun(workspace.ports):
        from everfit.errors import NotReady

        raise NotReady("nothing was trained or predicted yet, so there is nothing to report", fix="run `everfit run`")
    if evidently:
        _evidently(workspace, output, target)
        return
    found = report(workspace)
    if output.json:
        output.document(found)
        return
    atomic.write(target, page(found), what="the report")
    output.line(f"[green]✓[/] {target}: {found.rows:,} predictions of version {found.version or '-'}")


def _evidently(workspace: Workspace, output: Output, target: Path) -> None:
    from everfit.reports import evidently

    if output.json:
        raise click.UsageError("--evidently writes a page: it does not go with --json")
    workspace.progress = output.progress()
    evidently(workspace, target)
    output.line(f"[green]✓[/] {target}: Evidently's report")
