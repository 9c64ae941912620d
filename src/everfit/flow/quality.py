"""The checks of training on what comes afterwards: what callers send, and what each run reads.

What a window of predictions showed stands in its look, what a run's table showed in a stream of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from everfit.flow.ledger import champion
from everfit.flow.run import Run
from everfit.monitoring.budget import alpha_per_look
from everfit.ports import ArtifactStore, PredictionLog, StateStore
from everfit.project.sections.data import Check, ColumnCheck
from everfit.project.sections.root import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.table import CheckResult, Column, QualityReport, Schema, Severity
from everfit.records.watch import MonitorReport

RUNS_QUALITY = "data quality of runs"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a version was asked from `since` on, before `until`."""

    version: int
    since: datetime
    until: datetime


def window(project: Project, manifest: Manifest, log: PredictionLog, asked: Asked, alpha: float) -> QualityLook | None:
    """The checks on what was asked, on the columns that the version reads; None where it was asked nothing.

    Checks of a whole table (rows, duplicates, shares of classes) and `unique` mean nothing in traffic, in which anybody
    may ask twice, and are left out. What a check of severity error forbids in a single value was refused and is not in
    the log: `predictions_total{status="rejected"}` counts it."""
    import polars as pl

    from everfit.data import checks

    columns = _read_by(manifest)
    kinds = {one.name: one.kind for one in columns}
    sent = log.frame(("version", "error"), asked.since, asked.until, inputs=kinds)
    rows = sent.filter(pl.col("error").is_null(), version=asked.version)
    if not rows.height:
        return None
    names = {f"input.{one.name}": one.name for one in columns}
    schema = Schema(columns)
    report = checks.check(rows.select(list(names)).rename(names), schema, _of_rows(project.checks, schema), None)
    floor = project.monitoring.drift.breaks
    failed = _failed(report, manifest.checked, manifest.lineage.dataset.rows, alpha, floor)
    return _look(report, failed, asked.until, Origin.PREDICTIONS, alpha, str(asked.version))


def of_run(project: Project, run: Run, before: Manifest | None, at: datetime) -> QualityLook | None:
    """The checks on the table of a run, held against those on the champion's, `before`; None where the run did not
    come as far. What stopped the run is always news."""
    if not any(step.name == "quality" and step.output for step in run.record.steps):
        return None
    report: QualityReport = run["quality"]
    alpha = alpha_per_look(project.looking)
    known, rows = (before.checked, before.lineage.dataset.rows) if before else ((), 0)
    failed = _failed(report, known, rows, alpha, project.monitoring.drift.breaks)
    stopping = tuple(replace(one, is_news=one.is_news or one.severity is Severity.ERROR) for one in failed)
    return _look(report, stopping, at, Origin.RUN, alpha, run.record.id)


def remember(state: StateStore, look: QualityLook) -> None:
    """Keeps what a run's table showed."""
    state.append(RUNS_QUALITY, encode(look))


def of_runs(state: StateStore) -> list[QualityLook]:
    """What the tables of the runs showed, oldest first."""
    return [decode(QualityLook, text, where=f"{RUNS_QUALITY}, document {n}") for n, text in state.read(RUNS_QUALITY)]


def history(state: StateStore, looks: Sequence[MonitorReport]) -> list[QualityLook]:
    """The quality of all that came, windows and runs, oldest first."""
    windows = [look.quality for look in looks if look.quality is not None]
    return sorted([*windows, *of_runs(state)], key=lambda one: one.at)


def newest(state: StateStore, looked: MonitorReport | None) -> tuple[QualityLook, ...]:
    """That of the look, where it checked anything, and that of the last run's table."""
    last = state.last(RUNS_QUALITY)
    of_run = decode(QualityLook, last[1], where=f"{RUNS_QUALITY}, document {last[0]}") if last else None
    return tuple(one for one in (looked.quality if looked else None, of_run) if one is not None)


def champions(state: StateStore, artifacts: ArtifactStore) -> Manifest | None:
    """The champion's manifest; None while there is no champion, or where its bundle cannot be read, which is for
    others to tell."""
    made = champion(state)
    folder = artifacts.get(made.bundle_hash, verify=False) if made else None
    if folder is None:
        return None
    from everfit.training import bundle

    return bundle.open_bundle(folder)


def _failed(
    now: QualityReport, before: Sequence[CheckResult], rows: int, alpha: float, floor: float
) -> tuple[FailedCheck, ...]:
    """Where nothing failed, nothing is imported to judge it: a run in which nothing changed comes by here."""
    if not now.issues:
        return ()
    from everfit.monitoring import quality

    return quality.failed(now, before, rows, alpha, floor)


def _read_by(manifest: Manifest) -> tuple[Column, ...]:
    """The columns that a caller must send: those of the example, without the entity."""
    sent = manifest.example.keys() - {manifest.entity}
    return tuple(one for one in manifest.schema.columns if one.name in sent)


def _of_rows(rules: Sequence[Check], schema: Schema) -> list[Check]:
    single = (rule for rule in rules if isinstance(rule, ColumnCheck) and rule.column in schema.names)
    return [rule.model_copy(update={"unique": False}) for rule in single]


def _look(
    report: QualityReport, failed: tuple[FailedCheck, ...], at: datetime, origin: Origin, alpha: float, about: str
) -> QualityLook:
    return QualityLook(at, origin, report.rows, report.score, len(report.results), failed, alpha, about)
