"""`everfit labels`: tell what turned out to be true, and see what is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output, number

if TYPE_CHECKING:
    from everfit.flow.cohorts import By
    from everfit.flow.labels import Labelled
    from everfit.ports import Source
    from everfit.records.cohorts import Cohorts
    from everfit.workspace import Workspace

DATABASE = "EVERFIT_LABELS_DATABASE"


@click.command("labels")
@click.argument("file", required=False)
@click.option("--sql", metavar="QUERY", help="Take the rows of a query instead of a file.")
@click.option("--database", metavar="NAME", default=DATABASE, show_default=True,
              help="The environment variable that holds the database's SQLAlchemy address.")  # fmt: skip
@click.option("--show", is_flag=True, help="Show what is known of the champion's predictions instead.")
@click.option("--by", type=click.Choice(("day", "week")), default="week", show_default=True, help="Cohorts of --show.")
@on_project
def command(
    workspace: Workspace, output: Output, file: str | None, sql: str | None, database: str, show: bool, by: By
) -> None:
    """Store the truths in FILE (CSV or Parquet, or an https address of one) about earlier predictions.

    A row names a prediction by `prediction_id` (or `id`), or an entity: with a `time`, its last prediction before that
    time and not older than `data.target.delay`, and without one its last prediction. The truth is in the target's
    column, or in `value`; a column `known_at` says when it was learned. Storing the same truths twice changes nothing;
    a later truth corrects an earlier one and both are kept.

    \b
    Examples:
      everfit labels churned-in-march.csv
      everfit labels https://warehouse.example.org/truths.parquet --json
      everfit labels --sql "SELECT customer_id, churned AS value, left_at AS time FROM churn"
      everfit labels --show --by day
    """
    if [file is not None, sql is not None, show].count(True) != 1:
        raise click.UsageError("give a FILE, or --sql, or --show, and only one of them")
    if show:
        from everfit.workspace import cohorts

        found = cohorts(workspace, by)
        show_cohorts(found, output, by)
        output.document({"coverage": found.coverage, "cohorts": found})
        return
    stored = workspace.label(_source(file, sql, database).read())
    show_stored(stored, output)
    output.document(stored)


def _source(file: str | None, sql: str | None, database: str) -> Source:
    from everfit.wiring.sources import query, source

    return query(database, sql) if sql is not None else source(Path.cwd(), file or "")


def show_stored(found: Labelled, output: Output) -> None:
    """What became of the rows."""
    output.line(
        f"[bold]{found.new:,} new labels[/] of {found.rows:,} rows; {found.matched:,} belong to a logged prediction"
    )
    if found.matched == 0:
        output.line("[yellow]none of them is about a prediction in the log[/]; are the ids those of `everfit predict`?")
    if found.ambiguous:
        output.line(
            f"[yellow]{found.ambiguous:,} could mean several predictions[/] of their entity; the last was taken"
        )
    if found.conflicting:
        output.line(
            f"[yellow]{found.conflicting:,} contradict another row[/] about the same prediction; the last counts"
        )


def show_cohorts(found: Cohorts, output: Output, by: str) -> None:
    """The cohorts as a table, and the coverage of all."""
    if not found.cohorts:
        output.line(f"Version {found.version} has predicted nothing in the window.")
        return
    rows = [
        (
            f"{one.start:%Y-%m-%d}",
            one.predictions,
            one.matured,
            one.labelled,
            "-" if one.coverage is None else f"{one.coverage:.0%}",
            one.late,
            number(one.value),
            "-" if one.low is None else f"{number(one.low)} to {number(one.high)}",
        )
        for one in found.cohorts
    ]
    headers = (by, "predictions", "matured", "labelled", "coverage", "late", found.metric, "95% interval")
    title = f"Predictions of version {found.version} by {by}; {found.metric} was {number(found.expected)} in the test"
    output.table(title, headers, rows)
    if found.coverage is not None:
        output.line(f"\n[bold]{found.coverage:.1%}[/] of the predictions that are due have a label")
