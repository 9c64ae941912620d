"""A project's predictions for a file of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from everfit.flow import bulk, ledger, routes, scattered, scoring
from everfit.flow.bulk import Answers, Scored
from everfit.ports import Executor, Source
from everfit.records.release import Arm
from everfit.workspace import Workspace


def score(
    workspace: Workspace,
    source: Source,
    target: Path | None,
    *,
    log: bool,
    tell: Callable[[int], None],
    executor: Executor | None = None,
) -> Scored:
    """A prediction for each row of a source of any size, written to a file a piece at a time. With `log` all of them
    are in the prediction log; without it the champion alone answers, many times faster, and an `executor` may spread
    the pieces over its workers. `tell` hears how many rows are done."""
    workspace.refresh()
    snapshot, name = workspace.predictor.snapshot, workspace.project.serving.response.score
    plan = f"{source.identity()} {snapshot.champion.manifest.files} {snapshot.table} {name} {log}"
    if log:
        return bulk.score(source, target, bulk.here(scoring.logged(workspace.predictor, name)), plan, tell)
    if executor is None:
        answers = bulk.here(scoring.unlogged(snapshot, name))
    else:
        answers = _elsewhere(workspace, snapshot.table.arms[0], executor)
    return bulk.score(source, target, answers, plan, tell, columns=scoring.columns(snapshot.champion))


def _elsewhere(workspace: Workspace, champion: Arm, executor: Executor) -> Answers:
    ports, project = workspace.ports, workspace.project
    made = ledger.versions(ports.state)[champion.version]
    bundle, name = routes.folder(made, ports.artifacts), project.serving.response.score
    return scattered.elsewhere(
        executor, scattered.job(bundle, made.bundle_hash, project.training.trusted, champion, name)
    )
