"""`everfit export`: the files that bring a project to a platform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


def platform(context: click.Context, option: click.Parameter, value: str) -> str:
    """One of the platforms that there is an exporter for; a usage error for any other."""
    from everfit.wiring import PLATFORMS

    if value not in PLATFORMS:
        raise click.BadParameter(f"{value!r} is none of {', '.join(PLATFORMS)}", context, option)
    return value


@click.command("export")
@click.argument("platform", callback=platform)
@click.option(
    "--output",
    "-o",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write into; the platform's name if not given.",
)
@click.option("--force", is_flag=True, help="Replace files that are there and differ.")
@on_project
def command(workspace: Workspace, output: Output, platform: str, target: Path | None, force: bool) -> None:
    """Write the files that bring the project to a PLATFORM: prometheus.

    They are made from everfit.yaml alone, so that the same project gives the same files. Files that are there and
    differ are left alone unless --force says otherwise: they may hold changes of yours. With --json they are printed
    and not written.

    \b
    Examples:
      everfit export prometheus
      everfit export prometheus -o /etc/prometheus --force
    """
    from everfit.reports import exported

    files = exported(workspace, platform)
    if output.json:
        output.document(files)
        return
    for path in write(files, target or Path(platform), force):
        output.line(f"[green]✓[/] {path}")


def write(files: Mapping[str, str], folder: Path, force: bool) -> list[Path]:
    """Writes all of the files, or none where one is there and differs. Raises StorageError."""
    from everfit.errors import Conflict, StorageError

    paths = {folder / name: text for name, text in files.items()}
    try:
        changed = [path for path, text in paths.items() if path.is_file() and path.read_text(encoding="utf-8") != text]
        if changed and not force:
            fix = "take your changes over and use --force, or write into another folder with -o"
            raise Conflict(f"{changed[0]} is there and differs", where="export", fix=fix)
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fix = "make the folder writable, or choose another with -o"
        raise StorageError(f"the files cannot be written: {error}", where=str(folder), fix=fix) from error
    return list(paths)
