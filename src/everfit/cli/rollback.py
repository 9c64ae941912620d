"""`everfit rollback`: go back to what answered before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("rollback")
@click.option("--reason", metavar="TEXT", help="Why; written into the ledger.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, reason: str | None) -> None:
    """End the canary under way or, without one, let the champion before this one answer again.

    Running servers follow at once, on other machines within `serving.refresh`. The version rolled back is not released
    again by itself; `everfit release VERSION --force` does. With nothing to go back to, nothing changes and the exit
    code is 9.

    MLflow and the state store may be away: the servers of this machine then go back by an order that is kept beside the
    prediction log, and the ledger hears of it when the store is there again.

    \b
    Examples:
      everfit rollback
      everfit rollback --reason "complaints from support"
    """
    from everfit.cli.release import show_state

    workspace.progress = output.progress()
    state = workspace.rollback(reason) if reason else workspace.rollback()
    output.line(f"[bold red]Version {state.rejected[-1]}[/] was rolled back.")
    show_state(state, output)
    output.document(state)
