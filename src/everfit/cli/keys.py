"""`everfit keys`: who may ask the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.workspace import Workspace

_ROLES = ("predict", "feedback", "operate", "admin")


@click.group("keys")
def command() -> None:
    """Make, list and take back the keys that the server lets in.

    A key opens what its roles say: `predict` predictions, `feedback` labels, `operate` metrics and approvals, `admin`
    everything. The first key closes the server to all who have none. A server that runs takes changes over by itself.

    \b
    Examples:
      everfit keys add shop --role predict --role feedback
      everfit keys list
      everfit keys remove shop
    """


@command.command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(_ROLES), help="May be repeated.")
@on_project
@by_person
def add(workspace: Workspace, output: Output, name: str, roles: tuple[str, ...]) -> None:
    """Make a key for NAME and print it: this once, for only its digest is stored.

    \b
    Examples:
      everfit keys add shop --role predict
      everfit keys add prometheus --role operate --json
    """
    from everfit.flow import keys
    from everfit.records.access import Role

    key = keys.add(workspace.ports.state, name, tuple(map(Role, roles)), workspace.author)
    output.line(f"The key of [bold]{name}[/] ({', '.join(roles)}), which is not shown again:")
    output.line(key)
    output.document({"name": name, "roles": roles, "key": key})


@command.command("list")
@on_project
def listed(workspace: Workspace, output: Output) -> None:
    """List the keys that open something: names, roles, who made them and when."""
    from everfit.flow import keys

    found = list(keys.current(workspace.ports.state).values())
    rows = [(key.name, ", ".join(key.roles), key.by, f"{key.at:%Y-%m-%d %H:%M}") for key in found]
    if rows:
        output.table("Keys", ("name", "roles", "made by", "at (UTC)"), rows)
    else:
        output.line("There is no key: the server is open to this machine, and to no other.")
    output.document([{"name": key.name, "roles": key.roles, "by": key.by, "at": key.at} for key in found])


@command.command("remove")
@click.argument("name")
@on_project
@by_person
def remove(workspace: Workspace, output: Output, name: str) -> None:
    """Take the key of NAME back; servers refuse it within `serving.refresh`."""
    from everfit.flow import keys

    keys.remove(workspace.ports.state, name, workspace.author)
    output.line(f"The key of [bold]{name}[/] opens nothing any more.")
    output.document({"name": name})
