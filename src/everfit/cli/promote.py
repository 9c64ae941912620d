"""`everfit promote`: a version becomes champion at once, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("promote")
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", metavar="TEXT", help="Why; written into the ledger.")
@click.option("--force", is_flag=True, help="Also a version that was rolled back or archived.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, version: int, reason: str | None, force: bool) -> None:
    """Make VERSION champion at once, without a canary or ahead of the verdict of its own.

    Only a version that passed its gates is registered, and only one that passes the rehearsal of every release and has
    the approvals that `release.approve` asks for is promoted. The champion before it is what `everfit rollback` goes
    back to. Of two people who promote at the same time one wins, and the other is told who.

    \b
    Examples:
      everfit promote 3
      everfit promote 3 --env production --by ann --reason "agreed with the business"
    """
    from everfit.cli.release import show_done

    workspace.progress = output.progress()
    state = workspace.versions.promote(version, reason or "promoted by hand", force)
    show_done(workspace, state, output, f"[bold green]Version {version}[/] was promoted.")
