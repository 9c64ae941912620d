"""`everfit approve`: one person's yes to a version in this environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("approve")
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", metavar="TEXT", help="Why; written into the ledger.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, version: int, reason: str | None) -> None:
    """Allow VERSION in this environment, as one of `release.approvers`.

    Where `release.approve` asks for approvals, a release waits for them; the last one that it needs lets it begin, by
    the project's strategy. Nobody approves a version of their own. The ledger keeps who approved when, on which machine
    and as which user of it. It cannot know that people are who they say: let only those write the state whom you trust.

    \b
    Examples:
      everfit approve 4 --env production
      everfit approve 4 --env production --by ann --reason "figures checked"
    """
    from everfit.cli.release import show_state, show_waiting

    workspace.progress = output.progress()
    state = workspace.versions.approve(version, reason or "approved")
    output.line(f"[bold]Version {version}[/] is approved by {escape(workspace.author)}.")
    show_state(state, output)
    show_waiting(workspace, state, output)
    output.document(state)
