"""`everfit predict`: score a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    import polars as pl

    from everfit.workspace import Workspace

_METHODS = {".csv": "write_csv", ".parquet": "write_parquet"}


@click.command("predict")
@click.argument("file")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="A .csv or .parquet file to write.")
@on_project
def command(workspace: Workspace, output: Output, file: str, target: Path | None) -> None:
    """Score every row of FILE (CSV or Parquet) with what is released.

    The same predictor answers as in `everfit serve`, and every prediction goes to the prediction log; its id is in the
    output, so that labels can be joined later. Columns that the model does not read are passed over.

    \b
    Examples:
      everfit predict customers.csv
      everfit predict customers.parquet -o scores.parquet
    """
    from everfit import wiring

    if target is not None:
        check(target)
    found = workspace.predict(wiring.source(Path.cwd(), file).read())
    if target is not None:
        write(found, target)
    versions = found["version"].value_counts(sort=True).rows()
    who = ", ".join(f"version {version} answered {count:,}" for version, count in versions)
    output.line(f"[bold]{found.height:,} predictions[/]; {who or 'nobody answered'}")
    output.table("First rows", found.columns, found.head(5).rows())
    if target is not None:
        output.line(f"written to [bold]{target}[/]")
    output.document({"rows": found.height, "output": target, "first": found.head(5).to_dicts()})


def check(target: Path) -> None:
    """Refuses, before anything is scored, a file that could not be written afterwards."""
    from everfit.errors import ProjectError, StorageError

    if target.suffix not in _METHODS:
        raise ProjectError(f"{target.name} says no format", where=str(target), fix="end it in .csv or .parquet")
    if not target.parent.is_dir():
        raise StorageError("there is no such folder", where=str(target.parent), fix="make it, or choose another place")


def write(table: pl.DataFrame, target: Path) -> None:
    """Writes the table beside its name and renames it, so that a half-written file is never seen under that name."""
    from polars.exceptions import PolarsError

    from everfit.errors import StorageError

    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        getattr(table, _METHODS[target.suffix])(unfinished)
        unfinished.replace(target)
    except (OSError, PolarsError) as error:  # polars says a full disk in an error of its own
        unfinished.unlink(missing_ok=True)
        raise StorageError(
            f"cannot be written: {getattr(error, 'strerror', None) or error}",
            where=str(target),
            fix="choose another place with -o",
        ) from error
