"""`everfit smoke`: hold the servers to what was released."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import by_person, on_project
from everfit.cli.output import MARKS, Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace


@click.command("smoke")
@click.option("--url", help="The server to ask; the one of `serving.host` and `serving.port` if not given.")
@click.option(
    "--wait", type=click.FloatRange(0), default=30.0, show_default=True, metavar="SECONDS",
    help="How long it may take to follow the last release.",
)  # fmt: skip
@click.option("--rollback", is_flag=True, help="Roll back when the test fails.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, url: str | None, wait: float, rollback: bool) -> None:
    """Ask a server over HTTP what is released, as callers do, and compare: to be run after a release.

    It must follow the ledger's last release, be ready, answer the champion's example to the last bit as the version in
    the store does, within `release.guard.smoke`, and refuse a row that cannot be read. The ledger keeps what was found.
    The questions are predictions like any other: they are in the prediction log. A server with keys wants one of the
    role `predict` in EVERFIT_KEY.

    \b
    Examples:
      everfit smoke
      everfit smoke --env production --url https://churn.example --rollback
    """
    from everfit.errors import ReleaseError
    from everfit.versions import smoke

    workspace.progress = output.progress()
    found = smoke(workspace, url, os.environ.get("EVERFIT_KEY"), timedelta(seconds=wait))
    for check in found.checks:
        output.line(f"{MARKS[check.passed]} {check.name}: {escape(check.told)}")
    output.document(found)
    if found.passed:
        output.line(f"[bold green]Version {found.version}[/] passed its smoke test over {escape(found.url)}.")
        return
    if rollback:
        state = workspace.rollback(f"the smoke test over {found.url} failed")
        output.line(f"[bold red]Version {state.rejected[-1]}[/] was rolled back.")
    failed = next(check for check in found.checks if not check.passed)
    raise ReleaseError(
        f"the smoke test over {found.url} failed: {failed.name}: {failed.told}",
        where="smoke",
        fix="see `everfit history`; " + ("it was rolled back" if rollback else "go back with `everfit rollback`"),
    )
