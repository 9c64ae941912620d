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
    before = _rejected(workspace)
    state = workspace.rollback(reason) if reason else workspace.rollback()
    for version in [one for one in state.rejected if one not in before] or state.rejected[-1:]:
        output.line(f"[bold red]Version {version}[/] was rolled back.")
    show_state(state, output)
    output.document(state)


def _rejected(workspace: Workspace) -> tuple[int, ...]:
    """The versions that were rolled back before; none where the store does not say."""
    from everfit.errors import EverfitError
    from everfit.flow import ledger

    try:
        return ledger.current(workspace.ports.state).rejected
    except EverfitError:
        return ()
