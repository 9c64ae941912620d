"""`everfit doctor`: whether everything is there that everfit needs, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import as_json
from everfit.cli.output import Output
from everfit.errors import EverfitError, ProjectError

if TYPE_CHECKING:
    from everfit.cli.checkup import Finding
    from everfit.project.load import Loaded
    from everfit.wiring import Ports
    from everfit.workspace import Workspace

FAILED = 1
_MARKS = {"ok": "[green]✓[/]", "absent": "[dim]·[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}
_DEFAULT = Path("everfit.yaml")


@click.command("doctor")
@click.option(
    "--project", "-p", "path", type=click.Path(path_type=Path), help="The project file; everfit.yaml if there is one."
)
@click.option("--env", "environment", help="The environment: dev, or one of the file's; EVERFIT_ENV if not given.")
@as_json
def command(path: Path | None, environment: str | None, as_json: bool) -> None:
    """Check Python, the packages, the machine and, where there is one, the project, and say what to do.

    Works anywhere; in a folder with an everfit.yaml, or with --project, the project is checked too. Warnings do not
    stop anything; the exit code is 1 if, and only if, something fails.

    \b
    Examples:
      everfit doctor
      everfit doctor --project churn/everfit.yaml
      everfit doctor --json
    """
    output = Output(as_json)
    project = path or (_DEFAULT if _DEFAULT.is_file() else None)
    found: list[Finding] = []
    for area, group in groupby(findings(project, environment), key=lambda one: one.area):
        output.line(f"[bold]{area}[/]")
        for one in group:
            found.append(one)
            show(one, output)
    failed, warned = (sum(one.level == level for one in found) for level in ("fail", "warn"))
    ended = f"[bold red]{failed} failed[/]" if failed else "[bold green]Nothing failed[/]"
    output.line(f"\n{ended}, {warned} {'warning' if warned == 1 else 'warnings'}")
    output.document({"healthy": not failed, "findings": found})
    if failed:
        raise click.exceptions.Exit(FAILED)


def show(one: Finding, output: Output) -> None:
    """A line with its mark and, where there is something to do, another that says what."""
    dim = "[dim]" if one.level == "absent" else "[not dim]"
    output.line(f"  {_MARKS[one.level]} {one.name:<18} {dim}{escape(one.found)}[/]")
    if one.fix:
        output.line(f"      [dim]fix:[/] {escape(one.fix)}")


def findings(path: Path | None, environment: str | None) -> Iterator[Finding]:
    """Everything looked at, area by area, as it is found."""
    from everfit.cli import checkup

    yield checkup.python()
    required = metadata.requires("everfit") or []
    yield from sorted(checkup.packages(required), key=lambda one: one.area != "Packages")
    workspace, file = _opened(path, environment)
    yield from _machine(workspace)
    yield file
    if workspace is not None:
        yield from _project(workspace)
    yield from checkup.tools()


def _opened(path: Path | None, environment: str | None) -> tuple[Workspace | None, Finding]:
    from everfit.cli.checkup import Finding
    from everfit.project.load import load
    from everfit.workspace import Workspace

    if path is None:
        return None, Finding("Project", "file", "absent", "no everfit.yaml here; `everfit init` makes one")
    try:
        loaded = load(path, environment)
    except ProjectError as error:
        return None, Finding("Project", "file", "fail", _problem(error), error.fix)
    found = f"{path}: {loaded.project.name}, environment {loaded.environment}"
    return Workspace(loaded), Finding("Project", "file", "ok", found)


def _machine(workspace: Workspace | None) -> Iterator[Finding]:
    from everfit.cli import checkup

    yield checkup.system()
    if workspace is None:
        yield checkup.disk(Path.cwd())
        yield checkup.clock([Path(__file__)])
        yield checkup.port("127.0.0.1", 8000)
        return
    folder, serving = workspace.ports.folder, workspace.project.serving
    yield checkup.disk(folder)
    yield checkup.clock([Path(__file__), workspace.loaded.path, folder / "state.db"])
    yield checkup.port(serving.host, serving.port)


def _project(workspace: Workspace) -> Iterator[Finding]:
    from everfit.cli import checkup

    yield _source(workspace.ports)
    yield _features(workspace.loaded)
    yield _families(workspace.loaded)
    folder = checkup.writable("Project", workspace.ports.folder)
    yield folder
    if folder.level == "ok":
        yield _ledger(workspace.ports)


def _source(ports: Ports) -> Finding:
    from everfit.cli.checkup import Finding

    try:
        ports.source.identity()
    except EverfitError as error:
        return Finding("Project", "source", "warn", _problem(error), error.fix)
    return Finding("Project", "source", "ok", f"{ports.loaded.project.data.source} can be read")


def _features(loaded: Loaded) -> Finding:
    from everfit.cli.checkup import Finding
    from everfit.features.functions import load

    path = loaded.root / loaded.project.features.file
    if not path.is_file():
        return Finding("Project", "features", "absent", f"no {path.name}: the columns are taken as they are")
    try:
        count = len(load(path.read_text(encoding="utf-8"), path.name).callables)
    except (EverfitError, UnicodeDecodeError) as error:
        return Finding("Project", "features", "fail", _problem(error), getattr(error, "fix", "save it as UTF-8"))
    return Finding("Project", "features", "ok", f"{path.name}: {count} {'function' if count == 1 else 'functions'}")


def _families(loaded: Loaded) -> Finding:
    """Whether every family that competes can be trained here."""
    from everfit.cli.checkup import Finding
    from everfit.records.table import Task
    from everfit.training.families import competing, resolve

    try:
        choices = competing(loaded.project.training)
        for choice in choices:
            resolve(choice, Task(loaded.project.data.target.task or "binary"), seed=0)
    except EverfitError as error:
        return Finding("Project", "models", "fail", _problem(error), error.fix)
    return Finding("Project", "models", "ok", ", ".join(choice.name for choice in choices))


def _ledger(ports: Ports) -> Finding:
    from everfit.cli.checkup import Finding
    from everfit.flow import ledger
    from everfit.wiring import begun

    if not begun(ports):
        return Finding("Project", "ledger", "absent", "nothing has been stored yet; `everfit run` begins")
    try:
        events = ledger.events(ports.state)
    except EverfitError as error:
        return Finding("Project", "ledger", "fail", _problem(error), error.fix)
    return Finding("Project", "ledger", "ok", f"{len(events):,} events, and the chain of their hashes holds")


def _problem(error: Exception) -> str:
    if not isinstance(error, EverfitError):
        return str(error)
    return f"{error.where}: {error.what}" if error.where else error.what
