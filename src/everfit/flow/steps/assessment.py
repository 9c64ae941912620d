"""How good the model is, beside a constant and beside the champion, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.data import dictionary, schema
from everfit.evaluation import class_report, intervals, metrics, plots
from everfit.evaluation import gates as gating
from everfit.evaluation import importance as shuffling
from everfit.evaluation.calibration import calibrated, calibrator
from everfit.evaluation.metric_names import higher_is_better
from everfit.explaining.form import Parts
from everfit.features import encoder as encoding
from everfit.flow.steps import features as steps
from everfit.monitoring import estimate, losses
from everfit.monitoring import profile as profiling
from everfit.project.sections.training import Gates
from everfit.records.calibration import Calibration, ThresholdChoice
from everfit.records.evaluation import Difference, Slices
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Evaluation, GateReport, Importance, Problem
from everfit.records.profile import Profile
from everfit.records.table import Task
from everfit.serving.model import open_model
from everfit.training import bundle, residuals
from everfit.training.trial import Fold


@dataclass(frozen=True, slots=True)
class ChampionScores:
    """The champion on the test rows: its scores, and its threshold as an array of one; both empty without one."""

    scores: np.ndarray[Any, Any]
    threshold: np.ndarray[Any, Any]

    def __bool__(self) -> bool:
        """Whether there is a champion that can be compared with."""
        return bool(len(self.threshold))


# Rows on which shuffling one feature at a time is precise enough to rank them.
_IMPORTANCE_ROWS = 2_000
_SHAP_ROWS = 500
# Training rows over which the terms of a sum are averaged.
_MEAN_ROWS = 20_000


def importance(
    estimator: Path,
    trusted: tuple[str, ...],
    encoder: Encoder,
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    calibration: Calibration,
    seed: int,
) -> tuple[Importance, ...]:
    """What each feature is worth on test rows, by the training metric."""
    model = calibrated(bundle.read_estimator(estimator, trusted), calibration)
    measure = metrics.measure(problem.metric, problem.task, problem.classes)
    rows = np.flatnonzero(test)[:_IMPORTANCE_ROWS]
    y = truth[rows]

    def score(columns: Mapping[str, np.ndarray[Any, Any]]) -> float:
        return measure(y, model.score(encoding.transform(encoder, columns)))

    return shuffling.importance(score, steps.arrays(features[rows]), tuple(features.columns), 3, seed)


def shap_importance(
    shap: bool,
    compiled: Path,
    encoder: Encoder,
    features: pl.DataFrame,
    test: np.ndarray[Any, Any],
    problem: Problem,
) -> tuple[Importance, ...]:
    """What each feature adds to a row's output, on average over test rows; nothing unless it is asked for, or where
    the model is not taken apart exactly: a network with hidden layers, or a family without a compiled form."""
    from everfit.compiled import file

    if not (shap and (compiled / file.FILE).is_file()):
        return ()
    training = np.flatnonzero(~test)[:: max(1, int((~test).sum()) // _MEAN_ROWS)]
    mean = steps.matrix(encoder, features[training])
    try:
        parts = Parts(file.read(compiled / file.FILE), lambda terms: terms(mean).mean(axis=0))
    except ValueError:
        return ()
    rows = steps.matrix(encoder, features[np.flatnonzero(test)[:_SHAP_ROWS]])
    outputs = range(len(problem.classes) if problem.task is Task.MULTICLASS else 1)
    values = np.array([[parts.apart(row, output).amounts for output in outputs] for row in rows])
    return shuffling.by_feature(values.transpose(0, 2, 1), encoding.output_features(encoder))


def evaluation(
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    best: Candidate,
    searched_rows: np.ndarray[Any, Any],
    out_of_fold: np.ndarray[Any, Any],
    folds: tuple[Fold, ...],
    calibration: Calibration,
    threshold: ThresholdChoice,
    importance: tuple[Importance, ...],
    slices: Slices,
) -> Evaluation:
    """All metrics on training rows, on test rows, there with intervals, and over the folds: the training metric as the
    search measured it, the others of the calibrated out-of-fold scores."""

    def measured(y: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> dict[str, float]:
        return metrics.metrics(problem.task, y, found, problem.classes, threshold.value)

    held = calibrator(calibration)(out_of_fold)
    every = [measured(truth[searched_rows][fold.rows], held[fold.rows]) for fold in folds]
    sign = 1 if higher_is_better(best.metric) else -1  # candidates are compared by negated losses
    cv = {**metrics.over_folds(every), f"mean_{best.metric}": sign * best.score, f"std_{best.metric}": best.spread}
    around = intervals.intervals(problem.task, truth[test], scores[test], threshold.value)
    train, tested = measured(truth[~test], scores[~test]), measured(truth[test], scores[test])
    return Evaluation(train, tested, cv, importance, around, slices)


def pictures(
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    threshold: ThresholdChoice,
    importance: tuple[Importance, ...],
) -> dict[str, bytes]:
    """The model on the test rows, drawn."""
    return plots.pictures(problem.task, truth[test], scores[test], problem.classes, importance, threshold.value)


def reports(
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    threshold: ThresholdChoice,
    importance: tuple[Importance, ...],
) -> dict[str, bytes]:
    """Tables as files: the importance of the features as CSV and, for classes, the classification report as text."""
    found = {"feature_importance.csv": shuffling.csv(importance).encode()}
    if problem.task is Task.REGRESSION:
        return found
    labels = metrics.predicted(scores[test], problem.task, threshold.value)
    text = class_report.classification_report(truth[test], labels, problem.classes)
    return {**found, "classification_report.txt": f"{text}\n".encode()}


def champion_scores(
    champion: Path | None, trusted: tuple[str, ...], valid: pl.DataFrame, test: np.ndarray[Any, Any], problem: Problem
) -> ChampionScores:
    """The champion's scores of the same test rows; none while there is no champion, or one of other classes."""
    model = open_model(champion, trusted) if champion else None
    if model is None or model.manifest.classes != problem.classes:
        return ChampionScores(np.empty(0), np.empty(0))
    scores = [
        model.scores(schema.arrays(piece, model.manifest.schema, model.parser.required))
        for piece in valid.filter(test).iter_slices(dictionary.PIECE)
    ]
    return ChampionScores(np.concatenate(scores), np.array([model.manifest.threshold]))


def champion_metrics(
    champion: Path | None,
    champion_scores: ChampionScores,
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
) -> dict[str, float] | None:
    """The champion on the same test rows; None while there is none. No metrics when it predicts other classes, so that
    the gate that asks for them fails."""
    if champion is None:
        return None
    if not champion_scores:
        return {}
    found = champion_scores
    return metrics.metrics(problem.task, truth[test], found.scores, problem.classes, float(found.threshold[0]))


def differences(
    champion_scores: ChampionScores,
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    threshold: ThresholdChoice,
    rules: Gates,
) -> tuple[Difference, ...]:
    """This model against the champion, row by row of the test, by each metric that both have."""
    if not champion_scores:
        return ()
    ours, theirs = (scores[test], threshold.value), (champion_scores.scores, float(champion_scores.threshold[0]))
    found = [
        intervals.difference(name, problem.task, truth[test], ours, theirs, rules.tolerance)
        for name in metrics.names(problem.task)
    ]
    return tuple(one for one in found if one is not None)


def gates(
    rules: Gates,
    evaluation: Evaluation,
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
) -> GateReport:
    """Every absolute gate with what was observed and required; whether it stops anything is decided at publishing."""
    trivial = gating.baseline(problem.task, truth[~test], truth[test], problem.classes)
    return gating.judge(rules, evaluation.test, evaluation.intervals, problem.metric, trivial)


def comparison(
    rules: Gates,
    evaluation: Evaluation,
    champion: Path | None,
    differences: tuple[Difference, ...],
    problem: Problem,
) -> GateReport:
    """The gate against the champion. It is about a moment, so it is no part of the bundle: the same model stays the
    same version whoever is champion."""
    if rules.not_worse_than is None:
        return GateReport(())
    found = next((one for one in differences if one.metric == problem.metric), None)
    observed = evaluation.test.get(problem.metric)
    return GateReport((gating.not_worse(problem.metric, observed, champion is not None, found, rules.confident),))


def profile(
    features: pl.DataFrame,
    encoder: Encoder,
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    evaluation: Evaluation,
    threshold: ThresholdChoice,
    searched_rows: np.ndarray[Any, Any],
    out_of_fold: np.ndarray[Any, Any],
    seed: int,
) -> Profile:
    """What the model's inputs looked like in training, its scores and losses on the test rows, and for numbers what its
    error is to be expected on other rows."""
    found, held, y = steps.columns_of(features.filter(~test)), scores[test], truth[test]
    score = held if held.ndim == 1 else held[:, -1] if held.shape[1] == 2 else held.max(1)
    right = metrics.predicted(held, problem.task, threshold.value) == y
    kind = losses.kind(problem.task, problem.metric)
    kept = losses.baseline(kind, losses.losses(kind, held if problem.task is Task.MULTICLASS else score, y, right))
    expected = evaluation.test[problem.metric]
    made = profiling.profile(found, steps.kinds(found), score, problem.metric, expected, int(test.sum()), kept)
    if problem.task is not Task.REGRESSION:
        return made
    x = np.column_stack([steps.matrix(encoder, features, searched_rows), out_of_fold])
    foretells = residuals.fit(x, truth[searched_rows] - out_of_fold, seed)
    if foretells is not None:
        x = np.column_stack([steps.matrix(encoder, features, test), held])
        foretells = estimate.scaled(foretells, x, y - held)
    return replace(made, loss_model=foretells)
