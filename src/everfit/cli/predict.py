"""`everfit predict`: score a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace

_FORMATS = (".csv", ".parquet")


@click.command("predict")
@click.argument("file")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="A .csv or .parquet file to write.")
@click.option("--log/--no-log", default=True, help="Whether each prediction goes to the prediction log.")
@on_project
def command(workspace: Workspace, output: Output, file: str, target: Path | None, log: bool) -> None:
    """Score every row of FILE (CSV or Parquet) with what is released.

    The file may be of any size: it is read, scored and written a piece at a time. A run that was killed goes on where
    it was, if it is started again with the same file, release and options.

    The same predictor answers as in `everfit serve`, and every prediction goes to the prediction log; its id is in the
    output, so that labels can be joined later. With --no-log the champion alone answers, without ids and many times
    faster. Columns that the model does not read are passed over.

    \b
    Examples:
      everfit predict customers.csv
      everfit predict customers.parquet -o scores.parquet
      everfit predict everybody.parquet -o scores.parquet --no-log
    """
    from everfit import wiring
    from everfit.cli.progress import Rows
    from everfit.workspace import score

    if target is not None:
        check(target)
    source = wiring.source(Path.cwd(), file)
    with Rows(source, quiet=output.json) as rows:
        found = score(workspace, source, target, log=log, tell=rows.tell)
    who = ", ".join(f"version {version} answered {count:,}" for version, count in found.versions.items())
    output.line(f"[bold]{found.rows:,} predictions[/]; {who or 'nobody answered'}")
    if found.resumed:
        output.line(f"{found.resumed:,} of them were there from an earlier run")
    output.table("First rows", found.first.columns, found.first.rows())
    if target is not None:
        output.line(f"written to [bold]{target}[/]")
    output.document({"rows": found.rows, "resumed": found.resumed, "output": target, "first": found.first.to_dicts()})


def check(target: Path) -> None:
    """Refuses, before anything is scored, a file that could not be written afterwards."""
    from everfit.errors import ProjectError, StorageError

    if target.suffix not in _FORMATS:
        raise ProjectError(f"{target.name} says no format", where=str(target), fix="end it in .csv or .parquet")
    if not target.parent.is_dir():
        raise StorageError("there is no such folder", where=str(target.parent), fix="make it, or choose another place")
