"""`everfit history`: the ledger, event by event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.records.release import LedgerEvent
    from everfit.workspace import Workspace

_COLORS = {"promoted": "green", "rolled_back": "red", "released": "cyan", "advanced": "cyan", "staged": "yellow"}


def moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """A date, or a date and a time; UTC unless it names another zone. A usage error for anything else."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no time; write for example 2026-11-01 or 2026-11-01T12:00", context, option
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command("history")
@click.option("--at", callback=moment, metavar="TIME", help="Say who was champion at that time (UTC).")
@click.option("--version", type=click.IntRange(1), help="Only the events of this version.")
@click.option("--quality", is_flag=True, help="The data quality of every window and run instead of the ledger.")
@click.option("--schedule", is_flag=True, help="What became of the last times of `schedule`, instead of the ledger.")
@on_project
def command(
    workspace: Workspace, output: Output, at: datetime | None, version: int | None, quality: bool, schedule: bool
) -> None:
    """Show every event of the ledger: what happened to which version, when, by whom and why.

    Each event carries the hash of the one before, and the whole chain is verified: a history that was changed is shown
    with the place, and ends in exit code 8. All times are UTC.

    \b
    Examples:
      everfit history
      everfit history --at 2026-11-01T12:00
      everfit history --version 3
      everfit history --quality
      everfit history --schedule
      everfit history --json
    """
    other = {"--quality": quality, "--schedule": schedule}
    named = [name for name, asked in other.items() if asked]
    if named and (at or version or len(named) > 1):
        raise click.UsageError(f"{named[0]} goes with no other option of this command: it is not about the ledger")
    if named:
        (show_quality if quality else show_schedule)(workspace, output)
        return
    from everfit.flow import ledger
    from everfit.rollout.ledger import broken, verify
    from everfit.wiring import begun

    events = ledger.unverified(workspace.ports.state) if begun(workspace.ports) else []
    place, _ = broken(events)
    if place or at is None:
        shown = [event for event in events if version in (None, event.version)]
        show(events, shown, place, output)
        output.document(shown)
        verify(events)
    else:
        answer(events, at, output)


def show(events: list[LedgerEvent], shown: list[LedgerEvent], place: int, output: Output) -> None:
    """The events `shown` as a table, oldest first; those of all `events` from `place` on are not to be trusted."""
    if not events:
        output.line("Nothing has happened yet. Next: [bold]everfit run[/]")
        return
    doubted = events[place - 1 :] if place else []
    rows = [
        (
            f"[red]{event.number} ✗[/]" if event in doubted else event.number,
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            _colored(event.kind),
            event.version,
            escape(event.by),
            escape(event.reason),
        )
        for event in shown
    ]
    output.table("Ledger", ("#", "when", "event", "version", "by", "reason"), rows)
    pictures = {str(event.evidence["picture"]): event for event in shown if event.evidence.get("picture")}
    for picture, event in pictures.items():
        output.line(f"[dim]picture of event {event.number}: {escape(picture)}[/]")
    if not place:
        output.line(f"\n[green]✓[/] {len(events):,} events, and the chain of their hashes holds")


def show_quality(workspace: Workspace, output: Output) -> None:
    """Every window of predictions that was looked at and every run's table, oldest first."""
    from everfit.flow import monitoring
    from everfit.flow import quality as checked
    from everfit.wiring import begun

    state = workspace.ports.state if begun(workspace.ports) else None
    found = checked.history(state, monitoring.looks(state)) if state else []
    output.document(found)
    if not found:
        output.line("Nothing was checked yet. Next: [bold]everfit run[/]")
        return
    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M}",
            "version " + one.about if one.origin == "predictions" else "run " + one.about,
            one.rows,
            f"{one.score:.3f}",
            f"{one.checks - len(one.failed)} of {one.checks}",
            escape("; ".join(f"{bad.check} {bad.column or ''}: {bad.observed}" for bad in one.failed)),
        )
        for one in found
    ]
    output.table("Data quality", ("when", "of", "rows", "score", "passed", "failed"), rows)


def show_schedule(workspace: Workspace, output: Output) -> None:
    """The last times of all jobs, oldest first, and then those that nobody was there for and none has written down."""
    from everfit.flow.schedule import history, overdue, plans
    from everfit.wiring import begun

    state = workspace.ports.state if begun(workspace.ports) else None
    found = history(state) if state else []
    times = plans(workspace.project.schedule).values() if state else ()
    found += [slot for plan in times if state and (slot := overdue(state, plan, workspace.clock()))]
    rows = [
        (
            f"{one.due:%Y-%m-%d %H:%M}",
            one.job,
            one.turnout,
            f"{one.at:%m-%d %H:%M:%S}",
            one.attempt,
            escape(one.text),
        )
        for one in found
    ]
    if found:
        output.table("Schedule", ("due", "job", "", "at", "try", "what came of it"), rows)
    else:
        output.line("No time has come yet. `everfit up` runs what `schedule` names.")
    output.document(found)


def _colored(kind: str) -> str:
    return f"[{_COLORS[kind]}]{kind}[/]" if kind in _COLORS else kind


def answer(events: list[LedgerEvent], at: datetime, output: Output) -> None:
    """Who was champion then."""
    from everfit.rollout.ledger import champion_at

    champion = champion_at(events, at)
    when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if champion is None:
        output.line(f"Nobody was champion at {when}.")
    else:
        output.line(f"[bold green]Version {champion}[/] was champion at {when}.")
    output.document({"at": at, "champion": champion})
