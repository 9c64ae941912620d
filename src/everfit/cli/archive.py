"""`everfit archive`: a version goes out of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("archive")
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", metavar="TEXT", help="Why; written into the ledger.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, version: int, reason: str | None) -> None:
    """Take VERSION out of use: it is not released again by itself, and its stage in the registry is `archived`.

    The champion, the version that a rollback would bring back and a challenger are in use and refused. A version that
    waits for approvals is withdrawn by this. Nothing is deleted.

    \b
    Examples:
      everfit archive 2
      everfit archive 5 --env production --reason "trained on the wrong month"
    """
    from everfit.cli.release import show_done

    workspace.progress = output.progress()
    state = workspace.versions.archive(version, reason or "archived by hand")
    show_done(workspace, state, output, f"[bold]Version {version}[/] is archived.")
