"""`everfit resolve`: say that an alarm is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("resolve")
@click.argument("alarm", metavar="ID")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the alarm.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, alarm: str, reason: str) -> None:
    """End the alarm ID: its channels are told, and the same cause raises a new one if it comes again.

    The first characters of the id are enough where no other alarm has them; `everfit alarms` lists the ids.

    \b
    Examples:
      everfit resolve 3f9a1c07
      everfit resolve 3f9a --reason "new tariff, as announced"
    """
    from everfit.cli.alarms import change
    from everfit.records.watch import AlarmState

    change(workspace, output, alarm, AlarmState.RESOLVED, reason)
