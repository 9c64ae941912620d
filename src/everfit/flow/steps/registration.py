"""From a bundle that passed its gates to a registered version. It runs every time, and so imports little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from everfit.errors import GateFailed
from everfit.evaluation.metric_names import higher_is_better
from everfit.flow import ledger
from everfit.ports import ArtifactStore, Registry, StateStore
from everfit.records.model import (
    EXAMPLE_SCORE,
    Candidate,
    GateReport,
    Manifest,
    ModelVersion,
    Trial,
    TrialRun,
    TrialStatus,
)


def version(
    bundle: Path,
    manifest: Manifest,
    gates: GateReport,
    comparison: GateReport,
    candidates: tuple[Candidate, ...],
    registry: Registry,
    artifacts: ArtifactStore,
    state: StateStore,
    author: str,
    clock: Callable[[], datetime],
    trusted: tuple[str, ...],
) -> ModelVersion:
    """The registered version: the one that this very bundle already is, or the next; with what it answers to its own
    example, for every server to compare with. Raises GateFailed first."""
    every = GateReport((*gates.results, *comparison.results))
    if not (gates.passed and every.passed):
        raise _refused(every)
    digest = artifacts.put(bundle)
    known = next((v for v in ledger.versions(state).values() if v.bundle_hash == digest), None)
    made = known or _added(bundle, digest, manifest, candidates, registry, trusted)
    ledger.register(state, made, author, clock(), every)
    return made


def _added(
    bundle: Path,
    digest: str,
    manifest: Manifest,
    candidates: tuple[Candidate, ...],
    registry: Registry,
    trusted: tuple[str, ...],
) -> ModelVersion:
    from everfit.flow import smoke
    from everfit.serving.model import open_model

    made = registry.add(bundle, digest, manifest, trial_runs(candidates))
    return replace(made, tags={**made.tags, EXAMPLE_SCORE: smoke.recorded(open_model(bundle, trusted))})


def trial_runs(candidates: tuple[Candidate, ...]) -> tuple[TrialRun, ...]:
    """The trials that have a score, also on some folds only, for the registry; `folds` is how many they saw."""
    return tuple(
        _trial_run(trial, each.metric)
        for each in candidates
        for trial in each.tried
        if trial.scores and trial.status is not TrialStatus.FAILED
    )


def _trial_run(trial: Trial, metric: str) -> TrialRun:
    sign = 1 if higher_is_better(metric) else -1
    scores = {f"cv_mean_{metric}": sign * trial.mean, f"cv_std_{metric}": trial.std}
    params = {"family": trial.family, **{f"model.{name}": value for name, value in trial.params.items()}}
    metrics = {**scores, "folds": float(len(trial.scores)), "seconds": trial.seconds}
    return TrialRun(trial.family, trial.status, params, metrics)


def _refused(gates: GateReport) -> GateFailed:
    failed = [result for result in gates.results if not result.passed]
    lines = "\n".join(f"  {result.gate}: {result.reason}" for result in failed)
    return GateFailed(
        f"{len(failed)} of {len(gates.results)} gates failed, nothing was registered:\n{lines}",
        where="gates",
        fix="look at the candidates above; better data, features or models, or another gate in everfit.yaml",
    )
