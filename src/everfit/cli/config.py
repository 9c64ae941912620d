"""`everfit config`: every setting, its value, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.project.describe import Setting
    from everfit.workspace import Workspace

_DEFAULT = "default"
# A longer value would push the table beyond 100 columns.
_WIDTH = 42


@click.command("config")
@click.option("--changed", is_flag=True, help="Only what is not left at its default.")
@on_project
def command(workspace: Workspace, output: Output, changed: bool) -> None:
    """Show every setting with its value and where that comes from.

    That is a line of the project file, an environment of it, a variable (`$NAME`), `--set`, or the default. Secrets are
    shown as ****. A project file that is wrong ends in exit code 2, with every problem in it.

    \b
    Examples:
      everfit config
      everfit config --changed
      everfit config --env production --set training.seed=7 --json
    """
    from everfit.project.describe import settings

    found = [one for one in settings(workspace.loaded) if not (changed and one.origin == _DEFAULT)]
    show(found, output, f"{workspace.loaded.path}, environment {workspace.loaded.environment}")
    output.document(found)


def show(found: list[Setting], output: Output, title: str) -> None:
    """The settings as a table; long values are cut."""
    rows = [(one.path, escape(_cut(one.value)), _from(one.origin)) for one in found]
    output.table(title, ("setting", "value", "from"), rows)
    if any(len(one.value) > _WIDTH for one in found):
        output.line("\n[dim]… was cut; --json shows the whole value[/]")


def _cut(value: str) -> str:
    """At most as much as the table has room for.

    >>> len(_cut("x" * 200)), _cut("roc_auc")
    (42, 'roc_auc')
    """
    return value if len(value) <= _WIDTH else f"{value[: _WIDTH - 1]}…"


def _from(origin: str) -> str:
    return f"[dim]{origin}[/]" if origin == _DEFAULT else origin
