"""`everfit retrain`: train and release now, whatever monitoring says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output
from everfit.errors import NotReady

if TYPE_CHECKING:
    from everfit.records.watch import Retraining
    from everfit.workspace import Workspace


@click.command("retrain")
@click.option("--reason", metavar="TEXT", help="Why; kept with the retraining.")
@on_project
def command(workspace: Workspace, output: Output, reason: str | None) -> None:
    """Train on what the source holds now, and release what passes its gates, without waiting for a reason. Rows that
    the last retraining left out, for performance had fallen since, stay left out.

    It looks at production first, so that what is known goes into the record; the cooldown does not hold it back, but
    counts from here. If the data breaks its checks, a gate fails or the data has not changed, the champion stays, an
    alarm is sent, and the exit code is that of the failure; before the first release it is 11.

    \b
    Examples:
      everfit retrain
      everfit retrain --reason "new tariff since Monday"
    """
    workspace.progress = output.progress()
    decision = workspace.monitor(forced=True).decision
    if not decision.retrain:
        raise NotReady("; ".join(decision.reasons), where="retrain", fix="`everfit run`, then `everfit release`")
    if reason:
        decision = replace(decision, reasons=(reason, *decision.reasons))
    done = workspace.retrain(decision)
    show(done, output)
    output.document(done)
    if done.error is not None:
        raise click.exceptions.Exit(done.exit_code)


def show(done: Retraining, output: Output) -> None:
    """What came of it."""
    made = "" if done.version is None else f"Version {done.version} passed every gate"
    if done.deployed:
        output.line(f"\n[bold green]{made}[/] and is being released. Next: [bold]everfit status[/]")
    elif done.waiting:
        output.line(f"\n[bold yellow]{made}[/] and waits for approval. Next: [bold]everfit approve {done.version}[/]")
    else:
        output.line(f"\n[bold red]Nothing was released.[/] {made}")
        output.line(escape(done.error or ""))
    output.line(f"[dim]trained because: {escape(done.reason)}[/]")
