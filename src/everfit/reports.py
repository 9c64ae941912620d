"""What is written about a project for others: the report of its production, Evidently's, and files for platforms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everfit import wiring
from everfit.errors import NotReady
from everfit.workspace import Workspace, pipeline, watched

if TYPE_CHECKING:
    from everfit.reporting.report import Report


def exported(workspace: Workspace, platform: str) -> Mapping[str, str]:
    """The files, by path, that bring the project to a platform of `wiring.PLATFORMS`."""
    _, graph, _ = pipeline(workspace)
    return wiring.exporter(platform)(workspace.project, graph)


def report(workspace: Workspace, now: datetime | None = None) -> Report:
    """What production looks like, from the last looks, the prediction log and the labels. It only reads: no prediction
    counts as tested for it, and nobody is told."""
    from everfit.flow import reporting

    found, manifest = watched(workspace)
    return reporting.gather(found, workspace.loaded.environment, manifest, now or workspace.clock())


def evidently(workspace: Workspace, page: Path) -> None:
    """Evidently's report of the window of the newest drift test, by Evidently itself. Raises NotReady, MissingExtra and
    StorageError."""
    from everfit.flow import reporting

    found, manifest = watched(workspace)
    if manifest is None:
        raise NotReady("nothing is released yet, so there is nothing to compare", fix="run `everfit release`")
    reference, current = reporting.windows(found, manifest, workspace.clock())
    if not current.height:
        raise NotReady("nothing was predicted yet, so there is nothing to compare", fix="run `everfit serve`")
    wiring.evidently(workspace.ports).write(reference, current, page)
