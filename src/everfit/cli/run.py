"""`everfit run`: train, gate, register."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output, number

if TYPE_CHECKING:
    from everfit.records.model import Candidate
    from everfit.trained import Trained
    from everfit.workspace import Workspace

# Slices in the table; the card has all.
_SHOWN = 5


@click.command("run")
@click.option("--why", is_flag=True, help="Say for each step why it ran or was taken from the cache.")
@click.option("--no-cache", is_flag=True, help="Run every step, whatever is stored.")
@on_project
def command(workspace: Workspace, output: Output, why: bool, no_cache: bool) -> None:
    """Read the data, check it, train every family, gate the best and register it.

    Steps whose inputs, settings and code did not change are taken from the cache; a run that was stopped goes on where
    it was. When a check or a gate fails nothing is registered, and the exit code is 4 or 5.

    \b
    Examples:
      everfit run
      everfit run --why
      everfit run --env staging --set training.seed=7
    """
    workspace.progress = output.progress()
    show(workspace.run(not no_cache, lambda trained: found(trained, output, why)), output, why)


def show(trained: Trained, output: Output, why: bool = False) -> None:
    """What a run came to: checks, candidates, metrics, gates, version."""
    found(trained, output, why)
    output.line(f"\n[bold green]Version {trained.version}[/] is registered. Next: everfit release")
    output.document(
        {
            "run": trained.run.record,
            "version": trained.version,
            "candidates": trained.candidates,
            "evaluation": trained.evaluation,
            "differences": trained.differences,
            "leakage": trained.leakage,
            "gates": trained.gates,
            "card": str(trained.card),
            "quality": trained.quality,
        }
    )


def found(trained: Trained, output: Output, why: bool = False) -> None:
    """What was trained, and what each gate says of it, passed or not."""
    from everfit.evaluation.metric_names import higher_is_better

    if why:
        steps = [(s.name, s.status.value, f"{s.seconds:.2f} s", s.why) for s in trained.run.record.steps]
        output.table("Steps", ("step", "", "took", "why"), steps)
    quality = trained.quality
    passed = len(quality.results) - len(quality.issues)
    output.line(f"\n[bold]Data[/]  {quality.rows:,} rows, {passed} of {len(quality.results)} checks passed, "
                f"quality {quality.score:.3f}")  # fmt: skip
    for issue in quality.issues:
        output.line(f"  [yellow]{issue.column or 'table'}: {issue.check}: {issue.observed}[/]")
    for warning in trained.leakage:
        about = f"{escape(warning.column)}: " if warning.column else ""
        output.line(f"  [yellow]{about}{warning.kind}: {warning.reason}; is it known when a prediction is made?[/]")
    output.line()
    chosen, metric = trained.candidates[0], trained.candidates[0].metric
    sign = 1 if higher_is_better(metric) else -1  # losses are negated so that greater is better; people read them plain
    rows = [
        (c.family, *(_figures(c, sign)), c.trials, f"{trained.took(c.family):.1f} s", "chosen" if c is chosen else "")
        for c in trained.candidates
    ]
    output.table(f"Candidates by cross-validated {metric}", ("family", metric, "+/-", "trials", "took", ""), rows)
    best = max(trained.candidates, key=lambda c: c.score)
    if best is not chosen:
        output.line(f"  {chosen.family} is simpler than {best.family}, and worse by no more than noise or a trifle.")
    output.line()
    _metrics(trained, output)
    _slices(trained, output)
    output.line()
    output.table("Gates", ("gate", "", "because"), [(g.gate, g.passed, g.reason) for g in trained.gates.results])
    output.line(f"\n[bold]Card[/]  {escape(os.path.relpath(trained.card))}")


def _figures(candidate: Candidate, sign: int) -> tuple[float | str, str]:
    """Mean and deviation over the folds, or that it could not be trained."""
    return (sign * candidate.score, f"{candidate.spread:.4f}") if candidate.works else ("failed", "-")


def _metrics(trained: Trained, output: Output) -> None:
    """The metrics with their intervals, and beside the champion's on the same rows."""
    found = trained.evaluation
    around = {name: f"{each.low:.4f} to {each.high:.4f}" for name, each in found.intervals.items()}
    output.table(
        f"Metrics of {trained.candidates[0].family}",
        ("metric", "test", "95% interval", "train"),
        [(name, value, around.get(name, "-"), number(found.train.get(name))) for name, value in found.test.items()],
    )
    shown = [one for one in trained.differences if not one.metric.endswith(("_macro", "_weighted"))]
    if shown:
        output.line()
        output.table(
            f"Beside the champion on the same {shown[0].rows:,} test rows; a difference above 0 is for the better",
            ("metric", "this", "champion", "difference", "95% interval", ""),
            [
                (
                    one.metric,
                    one.challenger,
                    one.champion,
                    f"{one.difference:+.4f}",
                    f"{one.low:+.4f} to {one.high:+.4f}",
                    one.verdict,
                )
                for one in shown
            ],
        )


def _slices(trained: Trained, output: Output) -> None:
    """Where the model is worst, where that is beyond chance; else that it is nowhere."""
    found = trained.evaluation.slices
    if found is None or not found.judged:
        return
    output.line()
    if not found.marked:
        output.line(f"[bold]Slices[/]  none of {found.judged} parts of the test rows is worse beyond chance")
        return
    output.table(
        f"Slices: {len(found.marked)} of {found.judged} parts of the test rows are worse beyond chance",
        ("part", "rows", found.metric, "95% interval", "against the rest"),
        [
            (
                escape(f"{one.column} = {one.level}"),
                f"{one.rows:,}",
                one.value,
                f"{one.interval.low:.4f} to {one.interval.high:.4f}",
                f"{one.difference:+.4f}",
            )
            for one in found.marked[:_SHOWN]
        ],
    )
