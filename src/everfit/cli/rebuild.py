"""`everfit rebuild`: a version trained again, and proved equal or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.flow.rebuild import Rebuilt
    from everfit.workspace import Workspace


@click.command("rebuild")
@click.argument("version", metavar="[NAME@]VERSION")
@click.option("--anyway", is_flag=True, help="Go on where code or packages are not those of then, and say which.")
@on_project
def command(workspace: Workspace, output: Output, version: str, anyway: bool) -> None:
    """Train VERSION again from what its bundle says it was made from, and compare the scores of all rows.

    Data, features, settings and seed are those of then, whatever everfit.yaml says now. Nothing is registered. The exit
    code is 0 only when every score is the same to the bit.

    \b
    Examples:
      everfit rebuild 7
      everfit rebuild churn@7
      everfit rebuild 7 --anyway --json
    """
    done = rebuild(workspace, _number(version, workspace), anyway)
    show(done, output)
    output.document(done)
    if not done.equal:
        raise click.exceptions.Exit(1)


def rebuild(workspace: Workspace, version: int, anyway: bool = False) -> Rebuilt:
    """The version of an opened project, trained again and compared."""
    from everfit.flow import rebuild as rebuilding
    from everfit.wiring import outside

    ports = workspace.ports
    original = rebuilding.original(version, ports.state, ports.artifacts)
    given = outside(ports, original.functions, workspace.author, workspace.clock, workspace.progress)
    return rebuilding.rebuild(original, workspace.project, given, anyway)


def show(done: Rebuilt, output: Output) -> None:
    """What came of it."""
    data = f"{done.rows:,} rows, dataset {done.fingerprint[:12]}"
    for change in done.changed:
        output.line(f"[yellow]not as it was: {escape(change)}[/]")
    if done.equal:
        said = f"[bold green]Version {done.version} is reproduced[/]: {done.family} searched and fitted again,"
        output.line(f"{said} every score the same to the bit ({data})")
    else:
        how = "with the same settings" if done.chosen else "and the search chose otherwise"
        said = f"[bold red]Version {done.version} is not reproduced[/]: {done.family} of {done.libraries}, {how}"
        output.line(f"{said}, differs by up to {done.largest:.3g} in the score ({data})")


def _number(text: str, workspace: Workspace) -> int:
    name, _, number = text.rpartition("@")
    model = workspace.project.backends.model or workspace.project.name
    if not number.isdigit():
        raise click.UsageError(f"{text!r} is no version; write for example {model}@7 or 7")
    if name not in ("", model):
        raise click.UsageError(f"this project's model is {model!r}, not {name!r}")
    return int(number)
