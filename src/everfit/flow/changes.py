"""The change that made performance fall: since when, and how many labelled rows there are of the world after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from everfit.ports import LabelStore
from everfit.project.sections.root import Project
from everfit.records.model import Manifest
from everfit.records.release import ReleaseState
from everfit.records.table import Kind
from everfit.records.watch import LossReport, Retraining
from everfit.retraining.policy import Change


def change(
    project: Project,
    release: ReleaseState,
    labels: LabelStore,
    past: Sequence[Retraining],
    found: LossReport | None,
) -> Change | None:
    """What this look's labels date, or else what the champion was made for; `past` are the retrainings so far. None
    where neither is.

    Where the champion was as bad from its first answers on, they are the beginning, for the world may have changed
    while the labels were out that it could have learned that from."""
    if found is not None and found.lasting and found.since is not None:
        return Change(found.since, found.labelled)
    last = past[-1] if past else None
    if last is None or last.fell is None or not last.deployed or last.version != release.champion:
        return None
    if not project.retraining.restore:
        return None
    known = _labels(labels, last.fell + project.data.target.delay)
    return Change(last.fell, known.height, known.filter(pl.col("known_at") <= last.at).height)


def dated(manifest: Manifest | None, project: Project, past: Sequence[Retraining]) -> bool:
    """Whether rows can be left out by their time. Where the last retraining did so and released nothing, the next one
    learns from all rows: too few may have been left."""
    time = project.data.time
    if manifest is None or time is None or (past and past[-1].since is not None and past[-1].error is not None):
        return False
    return any(column.name == time and column.kind is Kind.DATE for column in manifest.schema.columns)


def _labels(labels: LabelStore, since: datetime, early: timedelta = timedelta(hours=1)) -> pl.DataFrame:
    """Labels learned since then; the store may have stored them a little before by its own clock."""
    return labels.frame(since - early).filter(pl.col("known_at") >= since)
