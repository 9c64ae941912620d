"""`everfit release`: bring a version in front of traffic, or judge the canary under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import by_person, on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.records.release import ReleaseState, Verdict
    from everfit.workspace import Workspace


@click.command("release")
@click.argument("versions", metavar="[VERSION]...", type=int, nargs=-1)
@click.option("--look", is_flag=True, help="Judge the canary under way, and act on the verdict.")
@click.option("--force", is_flag=True, help="Release a version again that was rolled back or archived.")
@on_project
@by_person
def command(workspace: Workspace, output: Output, versions: tuple[int, ...], look: bool, force: bool) -> None:
    """Bring VERSION, or the newest one, in front of traffic by the project's strategy.

    The first version answers everything at once. Later ones begin as a canary with the first of `release.steps`;
    `--look` (and `everfit up`, by itself) judges them and goes on, promotes or rolls back. Running servers follow at
    once, on other machines within `serving.refresh`. Where `release.approve` asks for approvals, the version is staged
    until it has them.

    \b
    Examples:
      everfit release
      everfit release 3
      everfit release 4 5 --set release.strategy=ab --set 'release.ab.arms={old: 50%, four: 25%, five: 25%}'
      everfit release --look
    """
    if look and (versions or force):
        raise click.UsageError("--look judges the canary under way: it takes no VERSION and no --force")
    from everfit.versions import reconcile

    workspace.progress = output.progress()
    if look:
        reconcile(workspace)
        verdict, state = workspace.look()
        show_verdict(verdict, output)
    else:
        first = versions[0] if versions else None
        verdict, state = None, workspace.versions.release(first, force, versions[1:])
    show_state(state, output)
    show_waiting(workspace, state, output)
    if state.champion is not None and state.challenger is None and state.staged is None:
        output.line("Next: everfit serve, or everfit predict FILE; a server that runs follows by itself")
    output.document({"verdict": verdict, "state": state})


def show_done(workspace: Workspace, state: ReleaseState, output: Output, done: str) -> None:
    """What was done to a version by hand, and the release after it."""
    output.line(done)
    show_state(state, output)
    show_waiting(workspace, state, output)
    output.document(state)


def show_verdict(verdict: Verdict | None, output: Output) -> None:
    """What a look at the release ended in, each criterion with its bounds, and where the picture is."""
    from everfit.rollout import wording

    if verdict is None:
        output.line("No version is on trial.")
        return
    of = "" if verdict.version is None else f" (version {verdict.version})"
    output.line(f"[bold]{verdict.action.value.replace('_', ' ')}[/]{of}: {verdict.reason}")
    rows = [wording.row(found) for found in verdict.findings]
    if rows:
        output.table("", ("challenger against champion", "seen", "at least", "at most", "allowed", "shown"), rows)
    output.line(f"[dim]a challenger no worse is rolled back in at most {verdict.error_rate:.1%} of releases[/]")
    if verdict.picture:
        output.line(f"[dim]picture: {verdict.picture}[/]")


def show_state(state: ReleaseState, output: Output) -> None:
    """Who answers now."""
    if state.champion is None:
        output.line("Nothing is released yet." + ("" if state.staged else " Next: everfit release"))
        return
    output.line(f"[bold green]Version {state.champion}[/] is champion since {state.champion_since:%Y-%m-%d %H:%M} UTC.")
    for one in state.variants:
        how = (
            "was stopped, its entities get the champion"
            if one.stopped
            else f"is on trial with {one.share:.0%} of entities"
        )
        output.line(f"[bold]Version {one.version}[/], arm {escape(one.name)}, {how}.")
    if state.challenger is not None and not state.variants:
        share = state.steps[state.step]
        output.line(
            f"[bold]Version {state.challenger}[/] is on trial with {_traffic(state.strategy.value, share)}, "
            f"step {state.step + 1} of {len(state.steps)}. Next: everfit release --look"
        )


def show_waiting(workspace: Workspace, state: ReleaseState, output: Output) -> None:
    """What a staged version waits for."""
    from everfit.rollout import approval

    if state.staged is None:
        return
    rule = workspace.versions.rule
    if approval.missing(state, state.staged, rule):
        waits = f"{approval.waiting(state, state.staged, rule)}. Next: everfit approve {state.staged}"
    else:
        waits = "the canary under way" if state.challenger is not None else "the next look: everfit release --look"
    output.line(f"[bold yellow]Version {state.staged}[/] waits for {escape(waits)}")


def _traffic(strategy: str, share: float) -> str:
    """What a version on trial gets.

    >>> _traffic("canary", 0.1), _traffic("shadow", 0.0)
    ('10% of traffic', 'copies of the traffic')
    """
    if share:
        return f"{share:.0%} of traffic"
    return "copies of the traffic" if strategy == "shadow" else "no traffic yet"
