"""`everfit predict`: score a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.ports import Executor
    from everfit.workspace import Workspace

_FORMATS = (".csv", ".parquet")


@click.command("predict")
@click.argument("file")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="A .csv or .parquet file to write.")
@click.option("--log/--no-log", default=True, help="Whether each prediction goes to the prediction log.")
@click.option("--executor", help="Who scores: processes, ray or ray://HOST:PORT; needs --no-log.")
@on_project
def command(
    workspace: Workspace, output: Output, file: str, target: Path | None, log: bool, executor: str | None
) -> None:
    """Score every row of FILE (CSV or Parquet) with what is released.

    The file may be of any size: it is read, scored and written a piece at a time. A run that was killed goes on where
    it was, if it is started again with the same file, release and options.

    The same predictor answers as in `everfit serve`, and every prediction goes to the prediction log; its id is in the
    output, so that labels can be joined later. With --no-log the champion alone answers, without ids and many times
    faster, and --executor spreads the file's pieces over the cores of this machine (processes) or the machines of a Ray
    cluster. The output is the same to the byte. Columns that the model does not read are passed over.

    \b
    Examples:
      everfit predict customers.csv
      everfit predict customers.parquet -o scores.parquet
      everfit predict everybody.parquet -o scores.parquet --no-log
      everfit predict everybody.parquet -o scores.parquet --no-log --executor ray://head:10001
    """
    from everfit.batch import score
    from everfit.cli.progress import Rows
    from everfit.wiring import sources

    if target is not None:
        check(target)
    workers = spread(workspace, executor, log)
    source = sources.source(Path.cwd(), file)
    with Rows(source, quiet=output.json) as rows:
        found = score(workspace, source, target, log=log, tell=rows.tell, executor=workers)
    who = ", ".join(f"version {version} answered {count:,}" for version, count in found.versions.items())
    output.line(f"[bold]{found.rows:,} predictions[/]; {who or 'nobody answered'}")
    if found.resumed:
        output.line(f"{found.resumed:,} of them were there from an earlier run")
    output.table("First rows", found.first.columns, found.first.rows())
    if target is not None:
        output.line(f"written to [bold]{target}[/]")
    output.document({"rows": found.rows, "resumed": found.resumed, "output": target, "first": found.first.to_dicts()})


def spread(workspace: Workspace, executor: str | None, log: bool) -> Executor | None:
    """The executor of that name. click.UsageError for an unknown one, and for one together with the log."""
    from pydantic import TypeAdapter, ValidationError

    from everfit import wiring
    from everfit.project.sections.training import Executor as Name

    if executor is None:
        return None
    if log:
        raise click.UsageError("--executor needs --no-log: one process alone writes the prediction log")
    try:
        TypeAdapter(Name).validate_python(executor)
    except ValidationError as error:
        raise click.UsageError(
            f"--executor: {executor!r} is none of processes, serial, ray, ray://HOST:PORT"
        ) from error
    return wiring.executor(workspace.loaded, executor, "--executor")


def check(target: Path) -> None:
    """Refuses, before anything is scored, a file that could not be written afterwards."""
    from everfit.errors import ProjectError, StorageError

    if target.suffix not in _FORMATS:
        raise ProjectError(f"{target.name} says no format", where=str(target), fix="end it in .csv or .parquet")
    if not target.parent.is_dir():
        raise StorageError("there is no such folder", where=str(target.parent), fix="make it, or choose another place")
