"""`everfit status`: what the project is doing, on one screen."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from everfit.cli.labels import show_cohorts
from everfit.cli.options import on_project
from everfit.cli.output import Output, number

if TYPE_CHECKING:
    from everfit.flow.status import Overview, RunLine, Standing
    from everfit.records.cohorts import Cohorts
    from everfit.records.quality import QualityLook
    from everfit.records.release import Verdict
    from everfit.records.schedule import Slot
    from everfit.records.watch import MonitorReport
    from everfit.workspace import Workspace

_LABEL = 14
_WEEKS = 6  # of cohorts
_STATUS = {"done": "[green]done[/]", "failed": "[red]failed[/]", "running": "[cyan]running[/]"}
# The order in which a reader wants them; the rest is in the JSON.
_SHOWN = ("roc_auc", "accuracy", "f1", "log_loss", "rmse", "mae", "r2")


@click.command("status")
@on_project
def command(workspace: Workspace, output: Output) -> None:
    """Show who answers, what is under way, what was found, and what to do next.

    Champion and challenger, the last runs, the predictions and labels of `monitoring.window` and how they have turned
    out by week, the last look at production with its decision, alarms, the last retraining, times of `schedule` that
    nobody was there for, and where everything is stored. It only reads. All times are UTC.

    \b
    Examples:
      everfit status
      everfit status --env production
      everfit status --json
    """
    from everfit.flow import status
    from everfit.wiring import begun

    ports, project = workspace.ports, workspace.project
    found = (
        status.overview(project, ports.state, ports.log, ports.labels, ports.artifacts, rule=workspace.versions.rule)
        if begun(ports)
        else status.Overview()
    )
    step, turned = status.next_step(found), _cohorts(found, workspace)
    show(found, output, workspace, step, turned)
    output.document(_document(found, workspace, step) | {"cohorts": turned})


def _cohorts(found: Overview, workspace: Workspace) -> Cohorts | None:
    """The champion's predictions by week; None where it cannot be told how they have turned out."""
    from everfit.workspace import cohorts

    answering = found.champion
    if answering is None or answering.problem or not (found.traffic and found.traffic.labels):
        return None
    return cohorts(workspace)


def _document(found: Overview, workspace: Workspace, step: tuple[str, str]) -> dict[str, Any]:
    from everfit.wiring import tracking_uri

    loaded, ports = workspace.loaded, workspace.ports
    return {
        "project": workspace.project.name,
        "environment": loaded.environment,
        "file": loaded.path,
        "overview": found,
        "coverage": found.traffic.coverage if found.traffic else None,
        "drift_score": found.looked.drift.drift_score if found.looked and found.looked.drift else None,
        "folder": ports.folder,
        "state": workspace.project.backends.state_place,
        "tracking": masked(tracking_uri(ports)),
        "next": {"command": step[0], "because": step[1]},
    }


def show(
    found: Overview, output: Output, workspace: Workspace, step: tuple[str, str], turned: Cohorts | None = None
) -> None:
    """The screen."""
    from everfit.wiring import tracking_uri

    loaded, now = workspace.loaded, datetime.now(UTC)
    output.line(f"[bold]{workspace.project.name}[/]  environment [bold]{loaded.environment}[/], {loaded.path}\n")
    _release(found, output, now)
    _production(found, output, now, workspace.project.monitoring.window)
    _look(found, output, now)
    if turned is not None and turned.cohorts:
        output.line()
        show_cohorts(replace(turned, cohorts=turned.cohorts[-_WEEKS:]), output, "week")
    if found.runs:
        output.line()
        output.table(
            "Last runs", ("run", "when", "", "took", "steps", "cached"), [_run(line, now) for line in found.runs]
        )
        failed = brief(found.runs[0].error)
        if failed and failed != brief(found.retraining.error if found.retraining else None):
            output.line(f"  [red]the last one failed: {escape(failed)}[/]")
    output.line()
    # Plain lines, whose words are not broken: they are there to be copied.
    output.line(f"[dim]{'stored in':<{_LABEL}}[/]{workspace.ports.folder}")
    if place := workspace.project.backends.state_place:
        output.line(f"[dim]{'state in':<{_LABEL}}[/]{place}")
    output.line(f"[dim]{'MLflow':<{_LABEL}}[/]mlflow ui --backend-store-uri {masked(tracking_uri(workspace.ports))}")
    output.line(f"\nNext: [bold]{step[0]}[/]  [dim]{step[1]}[/]")


def _release(found: Overview, output: Output, now: datetime) -> None:
    if found.champion is None:
        _row(output, "champion", "[yellow]nobody: nothing is released yet[/]")
    else:
        _standing(output, "champion", found.champion, now)
    if found.challenger is not None:
        _standing(output, "challenger", found.challenger, now)
        release = found.release
        share, since = release.steps[release.step], release.step_since or now
        steps = ", ".join(f"{one:.0%}" for one in release.steps)
        _row(output, "", f"canary at {share:.0%}, step {release.step + 1} of {len(release.steps)} ({steps}), "
                         f"begun {ago(now - since)}")  # fmt: skip
    if found.verdict is not None:
        _verdict(found.verdict, output, now)
    if found.release.staged is not None:
        begun = ago(now - (found.release.staged_since or now))
        staged = f"[bold yellow]version {found.release.staged}[/] for {escape(found.waiting)}, begun {begun}"
        _row(output, "waiting", staged)
    if found.release.latest is not None:
        rejected = f"; rolled back: {', '.join(map(str, found.release.rejected))}" if found.release.rejected else ""
        _row(output, "latest", f"version {found.release.latest} of {len(found.release.registered)}{rejected}")


def _verdict(verdict: Verdict, output: Output, now: datetime) -> None:
    when = f", {ago(now - verdict.at)}" if verdict.at else ""
    action = verdict.action.value.replace("_", " ")
    _row(output, "verdict", f"version {verdict.version}: [bold]{action}[/]{when}: {escape(verdict.reason)}")
    if verdict.picture:
        _row(output, "", f"[dim]picture: {escape(verdict.picture)}[/]")


def _standing(output: Output, label: str, one: Standing, now: datetime) -> None:
    color = "green" if label == "champion" else "cyan"
    _row(output, label, f"[bold {color}]version {one.version}[/] {one.family}, {one.share:.0%} of traffic, since "
                        f"{one.since:%Y-%m-%d %H:%M} ({ago(now - one.since)})")  # fmt: skip
    _row(output, "", escape(f"by {one.by}: {one.reason}"))
    names = dict.fromkeys(name for name in (one.metric, *_SHOWN) if name in one.test)
    _row(output, "", "test: " + ", ".join(f"{name} {number(one.test[name])}" for name in names))
    if one.problem:
        _row(output, "", f"[red]{one.problem}[/]")


def _production(found: Overview, output: Output, now: datetime, window: timedelta) -> None:
    from everfit.project.quantities import format_duration

    traffic = found.traffic
    if traffic is None or traffic.last is None:
        _row(output, "predictions", f"[dim]none in the last {format_duration(window)}[/]")
    else:
        who = ", ".join(f"{count:,} by version {version}" for version, count in traffic.versions.items())
        failed = f"; [red]{traffic.errors:,} failed[/]" if traffic.errors else ""
        _row(output, "predictions", f"[bold]{traffic.predictions:,}[/] in the last {format_duration(window)}, the last "
                                    f"{ago(now - traffic.last)}: {who}{failed}")  # fmt: skip
    if traffic is None or not traffic.labels:
        _row(output, "labels", "[dim]none yet[/]")
    else:
        share = "-" if traffic.coverage is None else f"{traffic.coverage:.1%}"
        _row(output, "labels", f"[bold]{traffic.labels:,}[/] known; {share} of {traffic.matured:,} predictions that "
                               f"are due have one")  # fmt: skip


def _look(found: Overview, output: Output, now: datetime) -> None:
    look = found.looked
    if look is None:
        _row(output, "last look", "[dim]never[/]")
    else:
        when = f"{ago(now - look.at)} ({found.looks:,} in all)"
        _row(output, "last look", f"{when}: {_drift(look)}; {_performance(look)}")
        verdict = "[yellow]retrain[/]" if look.decision.retrain else "no retraining"
        _row(output, "decision", f"{verdict}: {'; '.join(look.decision.reasons)}")
    for one in found.quality:
        _row(output, "data quality", _quality(one, now))
    last = found.last_alarm
    if last is None:
        _row(output, "alarms", "[dim]none[/]")
    else:
        _row(
            output, "alarms", f"[bold]{found.alarms:,}[/], the last {ago(now - last.at)}: {escape(brief(last.message))}"
        )
    _retraining(found, output, now)
    for timed in found.schedule:
        came = "not yet" if timed.last is None else _came(timed.last, now)
        _row(output, "schedule", f"{timed.job}: {timed.words}, next {timed.next:%Y-%m-%d %H:%M}; last: {came}")
        if timed.missed is not None:
            _row(output, "", f"{_came(timed.missed, now)}; nobody runs it: start [bold]everfit up[/]")


def _came(one: Slot, now: datetime) -> str:
    """What became of the time, or of several, and how long ago."""
    if one.turnout != "missed":
        return f"{_turnout(one)} {ago(now - one.at)}"
    many = f" {one.times:,} times" if one.times > 1 else ""
    return f"{_turnout(one)}{many}, the last {ago(now - one.due)}"


def slot(one: Slot) -> str:
    """What became of a time of the schedule, in a line."""
    retry = "" if one.retry is None else f"; tried again at {one.retry:%H:%M:%S} UTC"
    said = f": {escape(one.text)}" if one.text else ""
    return f"[bold]schedule[/] {one.job} of {one.due:%Y-%m-%d %H:%M} UTC {_turnout(one)}{said}{retry}"


def _turnout(one: Slot) -> str:
    color = {"failed": "red", "missed": "yellow"}.get(one.turnout, "green")
    return f"[{color}]{one.turnout.value}[/]"


def _quality(look: QualityLook, now: datetime) -> str:
    failed = ", ".join(escape(f"{one.check} of {one.column}" if one.column else one.check) for one in look.failed[:3])
    failed += f" and {len(look.failed) - 3} more" if len(look.failed) > 3 else ""
    said = f"[{'red' if look.news else 'yellow'}]failed: {failed}[/]" if failed else "all checks passed"
    source = "of predictions" if look.origin == "predictions" else f"of run {look.about}"
    return f"{number(look.score)} on {look.rows:,} rows {source}, {ago(now - look.at)}: {said}"


def _drift(look: MonitorReport) -> str:
    return "drift not tested" if look.drift is None else f"{look.drift.drift_score:.0%} of columns drifted"


def _performance(look: MonitorReport) -> str:
    held = look.performance
    if held is None:
        return "performance not tested"
    worse = ", [red]degraded[/]" if held.degraded else ""
    figures = f"{number(held.value)} on {held.labels:,} labels, {number(held.expected)} in the test"
    return f"{held.metric} {figures}{worse}"


def _retraining(found: Overview, output: Output, now: datetime) -> None:
    done = found.retraining
    if done is None:
        _row(output, "retraining", "[dim]never[/]")
        return
    came = f"version {done.version}, {'released' if done.deployed else 'waits for approval'}"
    came = came if done.deployed or done.waiting else "nothing changed" if done.unchanged else "released nothing"
    _row(output, "retraining", f"{ago(now - done.at)}: {came}; because: {escape(done.reason.partition('; ')[0])}")
    if done.error:
        _row(output, "", f"[red]{escape(brief(done.error))}[/]")


def _run(line: RunLine, now: datetime) -> tuple[object, ...]:
    took = "-" if line.seconds is None else f"{line.seconds:.1f} s"
    return line.id, ago(now - line.started_at), _STATUS.get(line.status, line.status), took, line.steps, line.cached


def _row(output: Output, label: str, text: str) -> None:
    """A line with its label; what does not fit goes on below the text, not below the label."""
    from rich.table import Table

    if not sys.stdout.isatty():
        output.line(f"{label:<{_LABEL}}{text}")
        return
    grid = Table.grid()
    grid.add_column(width=_LABEL, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row(label, text)
    output.console.print(grid)


def ago(span: timedelta) -> str:
    """How long ago, in its largest sensible unit.

    >>> ago(timedelta(seconds=20)), ago(timedelta(minutes=5)), ago(timedelta(hours=30)), ago(timedelta(days=3))
    ('20 s ago', '5 min ago', '30 h ago', '3 d ago')
    """
    seconds = max(span.total_seconds(), 0)
    for unit, length, least in (("d", 86400, 2), ("h", 3600, 1), ("min", 60, 1)):
        if seconds >= least * length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def brief(error: str | None) -> str:
    """A message in one line, without its advice.

    >>> brief("gates: 1 of 2 failed:\\n  f1: too low\\n  fix: look again")
    'gates: 1 of 2 failed: f1: too low'
    """
    return " ".join(line.strip() for line in (error or "").partition("\n  fix:")[0].splitlines())


def masked(uri: str) -> str:
    """A URI without its password.

    >>> masked("postgresql://me:secret@db/mlflow")
    'postgresql://me:****@db/mlflow'
    """
    import re

    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:****@", uri)
