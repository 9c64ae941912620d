"""`everfit monitor`: look at production, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output, number

if TYPE_CHECKING:
    from everfit.records.quality import QualityLook
    from everfit.records.watch import ColumnDrift, DriftReport, MonitorReport, Retraining
    from everfit.service import Tell
    from everfit.workspace import Workspace


@click.command("monitor")
@click.option("--act", is_flag=True, help="Retrain and release if that is the decision.")
@click.option("--decide", is_flag=True, help="Print only true or false: whether to retrain.")
@click.option("--watch", is_flag=True, help="Look again every `monitoring.every`, until interrupted.")
@on_project
def command(workspace: Workspace, output: Output, act: bool, decide: bool, watch: bool) -> None:
    """Hold what was predicted, and what became true, against training; raise alarms; decide whether to retrain.

    Each prediction is tested for drift once and each label for performance once, so that the false-alarm rate of a
    look is what it says. Alarms go to the project's `alerts`, each once. With --act, the exit code is that of a
    retraining that released nothing. With --watch --json, each thing that happens is one line of JSON.

    \b
    Examples:
      everfit monitor
      everfit monitor --act
      everfit monitor --decide        # for a workflow: true or false
      everfit monitor --watch --act
    """
    if decide and (act or watch):
        raise click.UsageError("--decide only says whether to retrain: it goes with neither --act nor --watch")
    workspace.progress = output.progress()
    if watch:
        _watch(workspace, output, act)
        return
    report = workspace.monitor()
    if decide:
        click.echo("true" if report.decision.retrain else "false")
        return
    show(report, output, workspace.project.monitoring.rows)
    done = workspace.retrain(report.decision) if act else None
    if done is not None:
        show_retraining(done, output)
    output.document({"report": report, "retraining": done})
    if done is not None and done.error is not None:
        raise click.exceptions.Exit(done.exit_code)


def _watch(workspace: Workspace, output: Output, act: bool) -> None:
    from everfit.cli.progress import Lines
    from everfit.service import leave, watch_until_signal

    workspace.progress = Lines()
    if not watch_until_signal(workspace, act, teller(workspace, output)):
        leave(workspace)


def teller(workspace: Workspace, output: Output) -> Tell:
    """What prints each thing that happens in a watch."""
    from everfit.cli.release import show_state, show_verdict
    from everfit.cli.status import slot
    from everfit.records.release import Action
    from everfit.records.schedule import Slot
    from everfit.records.watch import MonitorReport
    from everfit.service import Happening, Judged

    def tell(happened: Happening) -> None:
        if isinstance(happened, Judged):
            if happened.verdict.action is not Action.INCONCLUSIVE:
                show_verdict(happened.verdict, output)
                show_state(happened.state, output)
                output.event({"verdict": happened.verdict, "state": happened.state})
        elif isinstance(happened, Slot):
            output.line(slot(happened))
            output.event({"schedule": happened})
        elif isinstance(happened, MonitorReport):
            show(happened, output, workspace.project.monitoring.rows)
            output.event({"report": happened})
        else:
            show_retraining(happened, output)
            output.event({"retraining": happened})

    return tell


def show(report: MonitorReport, output: Output, needed: int) -> None:
    """What was found, the strongest first, and what was decided."""
    output.line(
        f"[bold]{report.predictions:,} predictions[/] by the champion in the window, at {report.at:%H:%M:%S} UTC"
    )
    _show_drift(report.drift, output, needed)
    if report.quality is not None:
        output.line(quality(report.quality))
    performance = report.performance
    if performance is None:
        output.line(f"[dim]performance: not tested, fewer than {needed:,} new labels[/]")
    else:
        output.line(
            f"{performance.metric} [bold]{number(performance.value)}[/] ({number(performance.low)} to "
            f"{number(performance.high)}) on {performance.labels:,} labels; {number(performance.expected)} in the test"
        )
        if performance.accuracy is not None and performance.estimated is not None:
            output.line(
                f"[dim]accuracy on them {number(performance.accuracy)}; "
                f"{number(performance.estimated)} was estimated from the scores alone[/]"
            )
        elif performance.estimated is not None:
            output.line(f"[dim]{performance.metric} of {number(performance.estimated)} was estimated without labels[/]")
    losses = report.losses
    if losses is not None:
        output.line(
            f"[dim]loss ({losses.kind.words}) of {losses.labels:,} labels one by one: {number(losses.recent)}; "
            f"{number(losses.expected)} in the test; evidence {losses.evidence:,.0f}, an alarm from "
            f"{losses.run_length:,.0f}[/]"
        )
    for alarm in report.alarms:
        output.line(f"[bold red]alarm[/] {alarm.message}")
    output.line(f"[bold]{'Retrain' if report.decision.retrain else 'No retraining'}[/]")
    for reason in report.decision.reasons:
        output.line(f"  - {reason}")


def _show_drift(drift: DriftReport | None, output: Output, needed: int) -> None:
    if drift is None:
        output.line(f"[dim]drift: not tested, fewer than {needed:,} new predictions (monitoring.rows)[/]")
        return
    drifted = [one for one in drift.columns if one.drifted]
    calm = sorted((one for one in drift.columns if not one.drifted), key=lambda one: -one.effect)
    rows = [
        (one.column, one.test, f"{one.effect:.1%}", f"{one.adjusted:.2g}", _influence(one))
        for one in [*drifted, *calm][:8]
    ]
    if drift.joint is not None:
        j = drift.joint
        rows.append((j.column, j.test, f"{j.effect:.1%}", f"{j.p_value:.2g}", "drifted" if j.drifted else ""))
    rule = "" if drift.rule == "everfit" else f"by rule {drift.rule}, "
    how = "measured on simulated looks" if drift.measured is not None else f"floor {drift.floor:.1%} of rows"
    against = f" against the same of the weeks before ({', '.join(drift.phases)})" if drift.phases else ""
    output.table(
        f"Drift in {drift.rows:,} rows{against}: {drift.drift_score:.0%} of columns "
        f"({rule}false alarms: {drift.alpha:.2%} of looks, {how})",
        ("column", "test", "rows moved", "adjusted p", ""),
        rows,
    )


def quality(look: QualityLook) -> str:
    """What the checks found, in a line or a few.

    >>> from datetime import datetime, timezone
    >>> from everfit.records.quality import Origin, QualityLook
    >>> at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    >>> quality(QualityLook(at, Origin.PREDICTIONS, 500, 1.0, 12, (), 0.001, "3"))
    'data quality [bold]1.00[/] on 500 rows: all 12 checks passed'
    """
    from rich.markup import escape

    passed = look.checks - len(look.failed)
    head = f"data quality [bold]{look.score:.2f}[/] on {look.rows:,} rows: "
    lines = [head + (f"all {look.checks} checks passed" if not look.failed else f"{passed} of {look.checks} passed")]
    for one in look.failed:
        about = f"{one.check} of {one.column}" if one.column else one.check
        news = "[red]more than in training[/]" if one.is_news else "[dim]no more than is usual[/]"
        lines.append(f"  {escape(about)}: {escape(one.observed)}, expected {escape(one.expected)}; {news}")
    return "\n".join(lines)


def _influence(one: ColumnDrift) -> str:
    if not one.drifted:
        return ""
    return "drifted" if one.influence is None else f"drifted, score moved {one.influence:.2f} sd"


def show_retraining(done: Retraining, output: Output) -> None:
    """What came of acting on the decision."""
    if done.error:
        output.line(f"[bold red]The retraining released nothing[/]: {done.error}")
    elif done.waiting:
        output.line(f"[bold yellow]Version {done.version}[/] waits for approval: everfit approve {done.version}")
    elif done.unchanged:
        output.line(f"Nothing changed: [bold]version {done.version}[/] is champion already.")
    elif done.deployed:
        output.line(f"[bold green]Version {done.version}[/] was trained, passed its gates and is being released.")
