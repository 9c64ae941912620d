"""`everfit alarms`: what is open, who is at it, what could not be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.records.watch import AlarmState
    from everfit.workspace import Workspace


@click.command("alarms")
@click.option("--all", "every", is_flag=True, help="Those that are resolved, too.")
@click.option("--resend", is_flag=True, help="Try again what a channel refused, also what was given up.")
@on_project
def command(workspace: Workspace, output: Output, every: bool, resend: bool) -> None:
    """List the alarms that are not over, newest first, and those that a channel has not taken.

    An alarm is open until somebody acknowledges or resolves it by its id, or until a look finds that it is over. What a
    channel refuses is tried again with each look, eight times, and is listed here until it is delivered.

    \b
    Examples:
      everfit alarms
      everfit alarms --all --json
      everfit alarms --resend
    """
    from everfit import wiring
    from everfit.flow import alerting
    from everfit.records.watch import AlarmState

    ports = workspace.ports
    if not wiring.begun(ports):
        output.line("No alarms: nothing was looked at yet.")
        output.document({"alarms": [], "undelivered": []})
        return
    if resend:
        sent = alerting.deliver(ports.channels, ports.state, output.progress(), workspace.clock(), again=True)
        output.line(f"[bold]{sent:,} delivered[/]")
    found = [one for one in alerting.history(ports.state) if every or one.state is not AlarmState.RESOLVED][::-1]
    letters = alerting.undelivered(ports.state, ports.channels)
    rows = [
        (one.id, str(one.state), str(one.kind).replace("_", " "), f"{one.at:%Y-%m-%d %H:%M}", escape(one.message))
        for one in found
    ]
    if rows:
        output.table(f"{len(rows)} alarms", ("id", "state", "kind", "since (UTC)", "what"), rows)
    else:
        output.line("[green]No alarm is open.[/]")
    for letter in letters:
        told = escape(letter.error or "")
        output.line(f"[yellow]not delivered[/] {letter.alarm} ({letter.state}) to {escape(letter.channel)}: {told}")
    output.document({"alarms": [{"id": one.id, "alarm": one} for one in found], "undelivered": letters})


def change(workspace: Workspace, output: Output, alarm: str, state: AlarmState, reason: str) -> None:
    """Moves the alarm whose id begins so to a state, by the person who acts, and tells its channels."""
    from everfit.flow import alerting

    ports, now = workspace.ports, workspace.clock()
    found = alerting.change(ports.state, alarm, state, workspace.author, reason, now)
    alerting.deliver(ports.channels, ports.state, output.progress(), now)
    output.line(f"Alarm [bold]{found.id}[/] is {found.state}: {escape(found.message)}")
    output.document(found)
