"""`everfit approve`: one person's yes to a version in this environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("approve")
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", metavar="TEXT", help="Why; written into the ledger.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, version: int, reason: str | None) -> None:
    """Allow VERSION in this environment, as one of `release.approvers`.

    Where `release.approve` asks for approvals, a release waits for them; the last one that it needs lets it begin, by
    the project's strategy. Nobody approves a version of their own. Who approves shows the key of that name (`everfit
    keys`, role `operate` or `admin`) in EVERFIT_KEY; where `release.identity` is `local`, saying so is enough. The
    ledger keeps who approved when, on which machine, as which user of it, and whether a key was shown.

    \b
    Examples:
      EVERFIT_KEY=everfit_Vw3t... everfit approve 4 --env production
      everfit approve 4 --env production --by ann --set release.identity=local
    """
    from everfit.cli.release import show_done

    workspace.progress = output.progress()
    state = workspace.versions.approve(version, reason or "approved", os.environ.get("EVERFIT_KEY"))
    given = state.approvals[-1]
    shown = "" if given.proven else ", who showed no key"
    show_done(workspace, state, output, f"[bold]Version {version}[/] is approved by {escape(given.by)}{shown}.")
