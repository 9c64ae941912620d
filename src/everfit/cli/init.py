"""`everfit init`: a project from a table."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import as_json
from everfit.cli.output import Output
from everfit.errors import ProjectError, SourceError, StorageError
from everfit.records.table import Kind, Severity

if TYPE_CHECKING:
    import polars as pl

    from everfit.flow.survey import Survey
    from everfit.records.table import Column

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_GLOB = "*?["
# Of a column's values in the table of columns.
_WIDTH = 36


@click.command("init")
@click.argument("name")
@click.option("--from", "source", required=True, metavar="FILE", help="The table: CSV or Parquet, or a glob of them.")
@click.option("--target", metavar="COLUMN", help="The column to predict.")
@click.option(
    "--into", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to; the folder NAME if not given."
)
@click.option(
    "--entity", metavar="COLUMN", help="The column that identifies whom a row is about; guessed if not given."
)
@click.option("--time", metavar="COLUMN", help="The column that says when a row was true; guessed if not given.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@as_json
def command(
    name: str,
    source: str,
    target: str | None,
    into: Path | None,
    entity: str | None,
    time: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Start the project NAME from a table: look at it, and write everfit.yaml and what belongs to it.

    The table is read and stays where it is. The kinds of its columns, the task, checks and gates are proposed from
    what it holds; all of them are yours to change. Either every file is written or none.

    \b
    Examples:
      everfit init churn --from customers.csv --target Churn
      everfit init churn --from "data/*.parquet" --target churn --entity user_id --time event_time
      everfit init churn --from customers.csv --target Churn --into . --force
    """
    from everfit.flow.scaffold import FILES, scaffold
    from everfit.flow.survey import survey

    output, folder = Output(as_json), into or Path(name)
    _demand_name(name)
    _demand_free(folder, FILES, force)
    table = _read(source)
    found = survey(table, _chosen(target, table), entity, time)
    write(folder, scaffold(name, address(source, folder), found))
    show(found, output, folder, FILES)


def _demand_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        fix = "begin with a letter and use letters, digits, _ and - only, at most 63 of them, as in churn-eu"
        raise ProjectError(f"{name!r} cannot name a project", where="NAME", fix=fix)


def _demand_free(folder: Path, names: tuple[str, ...], force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ProjectError("is a file, not a folder", where=str(folder), fix="choose another folder with --into")
    folders = [name for name in names if (folder / name).is_dir()]
    if folders:
        fix = "rename it, or choose another folder with --into"
        raise ProjectError(f"{folders[0]} in it is a folder, and is to be a file", where=str(folder), fix=fix)
    taken = [name for name in names if os.path.lexists(folder / name)]
    if taken and not force:
        fix = "choose another folder with --into, or replace them with --force"
        raise ProjectError(f"already holds {', '.join(taken)}", where=str(folder), fix=fix)


def _read(source: str) -> pl.DataFrame:
    from everfit.flow.survey import nearest
    from everfit.wiring import sources

    path = Path(source)
    if not any(sign in source for sign in _GLOB) and "://" not in source and not path.exists():
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        near = nearest(path.name, beside)
        fix = f"did you mean {path.with_name(near)}?" if near else "correct the path; it is relative to where you stand"
        raise SourceError("there is no such file", where=source, fix=fix)
    try:
        return sources.source(Path.cwd(), source).read()
    except ProjectError as error:
        raise ProjectError(error.what, where="--from", fix=error.fix) from error


def _chosen(target: str | None, table: pl.DataFrame) -> str:
    if target is None:
        fix = f"add --target COLUMN; the columns are {', '.join(table.columns)}"
        raise ProjectError("which column is to be predicted?", where="--target", fix=fix)
    return target


def address(source: str, folder: Path) -> str:
    """The table's path as seen from the project's folder, with forward slashes.

    >>> address("data/customers.csv", Path("churn")), address("churn/customers.csv", Path("churn"))
    ('../data/customers.csv', 'customers.csv')
    """
    return Path(os.path.relpath(Path(source).resolve(), folder.resolve())).as_posix()


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Writes all of the files, or leaves everything as it was. They are written under another name first, and renamed
    in the order given. Raises StorageError."""
    parent = folder if folder.is_dir() else folder.resolve().parent
    staged = parent / f".{folder.resolve().name}.{os.getpid()}.unfinished"
    try:
        staged.mkdir(parents=True)
        for name, text in files.items():
            (staged / name).write_text(text, encoding="utf-8")
        if folder.is_dir():
            _move(staged, folder, list(files))
        else:
            staged.rename(folder)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise StorageError(what, where=str(folder), fix="choose another folder with --into") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _move(staged: Path, folder: Path, names: list[str]) -> None:
    """Moves the files into a folder that is there; what they replace is put back when one of them cannot be moved."""
    before = staged / "before"
    before.mkdir()
    try:
        for name in names:
            if os.path.lexists(folder / name):
                (folder / name).rename(before / name)
            (staged / name).rename(folder / name)
    except BaseException:
        for name in names:
            if not (staged / name).exists():
                (folder / name).unlink(missing_ok=True)
            if os.path.lexists(before / name):
                (before / name).rename(folder / name)
        raise


def show(found: Survey, output: Output, folder: Path, files: tuple[str, ...]) -> None:
    """What the table holds, what was written and what comes next."""
    from rich.markup import escape

    rows = [_row(column, found) for column in found.columns.columns]
    headers = ("column", "kind", "missing", "distinct", "values", "")
    output.table(f"{found.rows:,} rows", headers, [tuple(map(escape, row)) for row in rows])
    output.line(f"\n[bold]Task[/]  {escape(_task(found))}")
    for surprise in found.surprises:
        output.line(f"[yellow]Look[/]  {escape(surprise)}")
    for issue in found.issues:
        mark = "[red]Mend[/]" if issue.severity is Severity.ERROR else "[yellow]Look[/]"
        line = f"{issue.column or 'table'}: {issue.check}: {issue.observed}; expected {issue.expected}"
        output.line(f"{mark}  {escape(line)}")
    output.line(f"\nWritten to [bold]{escape(str(folder))}[/]: {', '.join(reversed(files))}")
    output.line(_next(found, folder))
    output.document({"folder": folder, "files": files, "found": found})


def _next(found: Survey, folder: Path) -> str:
    from rich.markup import escape

    go = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    broken = any(issue.severity is Severity.ERROR for issue in found.issues)
    first = (
        "A run would stop at what is marked to mend."
        if broken
        else "The checks in everfit.yaml are proposals: read them."
    )
    return f"{first} Next: [bold]{escape(go)}everfit run[/]"


def _row(column: Column, found: Survey) -> tuple[str, ...]:
    missing = f"{column.null_share:.1%}" if column.null_share else "-"
    return column.name, column.kind.value, missing, f"{column.distinct:,}", _values(column), _role(column, found)


def _role(column: Column, found: Survey) -> str:
    roles = {found.entity: "entity", found.time: "time", found.target: "target"}
    roles |= dict.fromkeys(found.personal, "dropped")
    unread = column.kind in (Kind.IDENTIFIER, Kind.TEXT, Kind.DATE)
    return roles.get(column.name) or ("not a feature" if unread else "")


def _values(column: Column) -> str:
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum:g} to {column.maximum:g}"
    shown = list[str]()
    for level in column.levels:
        if shown and len(", ".join([*shown, level])) > _WIDTH:
            return ", ".join([*shown, "..."])
        shown.append(level)
    return ", ".join(shown)


def _task(found: Survey) -> str:
    if found.positive is not None:
        return f"binary: {found.target} is {found.positive} or not"
    if found.classes:
        return f"multiclass: {found.target} is one of {', '.join(found.classes)}"
    return f"regression: {found.target} is a number"
