"""The options that every command on a project shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def on_project(function: Callable[..., Any]) -> Callable[..., None]:
    """Opens the project that the shared options name and passes it on as `workspace`, with an `output` to print to."""

    @click.option(
        "--project",
        "-p",
        "path",
        type=click.Path(path_type=Path),
        default="everfit.yaml",
        show_default=True,
        help="The project file.",
    )
    @click.option("--env", "environment", help="The environment: dev, or one of the file's; EVERFIT_ENV if not given.")
    @click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting; may be repeated.")
    @as_json
    @wraps(function)
    def wrapped(path: Path, environment: str | None, overrides: tuple[str, ...], as_json: bool, **rest: Any) -> None:
        function(workspace=_open(path, environment, overrides), output=Output(as_json), **rest)

    return wrapped


def by_person(function: Callable[..., Any]) -> Callable[..., None]:
    """Lets a command that writes into the ledger be told who acts; below `on_project`'s place in the list."""

    @click.option("--by", metavar="NAME", help="Who does it; EVERFIT_USER or the system's user if not given.")
    @wraps(function)
    def wrapped(workspace: Workspace, by: str | None, **rest: Any) -> None:
        if by:
            workspace.author = by
        function(workspace=workspace, **rest)

    return wrapped


def _open(path: Path, environment: str | None, overrides: tuple[str, ...]) -> Workspace:
    from everfit.project.load import load
    from everfit.workspace import Workspace

    return Workspace(load(path, environment, overrides))
