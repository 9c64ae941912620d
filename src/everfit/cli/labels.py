"""`everfit labels`: tell what turned out to be true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("labels")
@click.argument("file")
@on_project
def command(workspace: Workspace, output: Output, file: str) -> None:
    """Store the truths in FILE (CSV or Parquet) about earlier predictions.

    A row names a prediction by `prediction_id` (or `id`), or an entity, and then stands for that entity's newest
    prediction; the truth is in the target's column, or in `value`; a column `known_at` says when it was learned.
    Storing the same file twice changes nothing; a later truth corrects an earlier one and both are kept.

    \b
    Examples:
      everfit labels churned-in-march.csv
      everfit labels truths.parquet --json
    """
    from everfit import wiring

    found = workspace.label(wiring.source(Path.cwd(), file).read())
    output.line(
        f"[bold]{found.new:,} new labels[/] of {found.rows:,} rows; {found.matched:,} belong to a logged prediction"
    )
    if found.matched == 0:
        output.line("[yellow]none of them is about a prediction in the log[/]; are the ids those of `everfit predict`?")
    output.document(found)
