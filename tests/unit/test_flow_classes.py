"""Several classes: what production is judged by is the metric of training, on the probabilities that the log holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from tests.unit.serving_models import MemoryLog, model

from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.adapters.state.sqlite import SqliteState
from everfit.evaluation import metrics
from everfit.flow import monitoring
from everfit.flow.cohorts import cohorts
from everfit.monitoring import losses
from everfit.project.sections.root import Project
from everfit.records.model import Evaluation, Manifest
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.profile import LossKind, LossProfile, Profile
from everfit.records.release import ReleaseState
from everfit.records.table import Task
from everfit.records.watch import MonitorReport

START, DAY = datetime(2026, 1, 5, tzinfo=UTC), timedelta(days=1)
CLASSES = model("level").manifest.classes


def shares(rows: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Probabilities as a model that knows something gives them."""
    return np.random.default_rng(seed).dirichlet([0.5, 0.5, 0.5], rows)


def truths(
    given: np.ndarray[tuple[int, int], np.dtype[np.float64]], seed: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Classes that come as often as the probabilities say."""
    drawn = np.random.default_rng(seed).random(len(given))
    return np.asarray((drawn[:, None] > given.cumsum(axis=1)).sum(axis=1).clip(max=2), dtype=np.int64)


def manifest(metric: str) -> Manifest:
    given = shares(4_000, 1)
    truth = truths(given, 2)
    test = metrics.metrics(Task.MULTICLASS, truth, given, CLASSES)
    kind = losses.kind(Task.MULTICLASS, metric)
    kept = losses.baseline(kind, losses.losses(kind, given, truth, given.argmax(axis=1) == truth))
    about = model("level").manifest
    known = Profile((), about.profile.score, metric, test[metric], 4_000, kept)
    return replace(about, profile=known, evaluation=Evaluation({}, test, {}, ()))


class Production:
    """A champion of three classes, 600 predictions a day with their labels."""

    def __init__(self, folder: Path, metric: str) -> None:
        self.log, self.labels = MemoryLog(), SqliteLabels(folder / "labels.db")
        self.state, self.manifest = SqliteState(folder / "state.db"), manifest(metric)
        data = {"source": "t.csv", "target": {"column": "level"}}
        self.project = Project.model_validate({"project": "churn", "data": data})

    def day(self, day: int, wrong: float = 0.0, whole: bool = True) -> None:
        given, at = shares(600, 10 + day), START + day * DAY
        truth = truths(given, 50 + day)
        turned = np.random.default_rng(day).random(600) < wrong
        truth = np.where(turned, (truth + 1) % 3, truth)
        records = []
        for i, row in enumerate(given.tolist()):
            probabilities = dict(zip(CLASSES, row, strict=True)) if whole else None
            answer = (max(row), CLASSES[int(np.argmax(row))], 0.01, None, probabilities)
            records.append(PredictionRecord(f"{day}-{i}", at, None, {}, {}, "champion", 1, *answer))
        self.log.append(records)
        self.labels.put(
            [Label(one.id, CLASSES[place], at + DAY / 4) for one, place in zip(records, truth.tolist(), strict=True)]
        )

    def look(self, day: int) -> MonitorReport:
        release = ReleaseState(number=2, champion=1, champion_since=START, latest=1, registered=(1,))
        watched = monitoring.Watched(self.project, release, self.log, self.labels, self.state)
        return monitoring.look(watched, self.manifest, START + day * DAY + DAY / 2)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_labels_are_held_against_the_test_by_the_metric_of_training(tmp_path: Path, metric: str) -> None:
    production = Production(tmp_path, metric)
    production.day(0)
    report = production.look(0)
    found, given = report.performance, shares(600, 10)
    assert found is not None
    assert found.metric == metric
    assert found.value == pytest.approx(metrics.metrics(Task.MULTICLASS, truths(given, 50), given, CLASSES)[metric])
    assert found.low is not None
    assert found.high is not None
    assert found.low < (found.value or 0) < found.high
    assert (found.degraded, report.losses and report.losses.degraded, report.alarms) == (False, False, ())
    production.day(1, wrong=0.5)
    worse = production.look(1)
    assert worse.performance is not None
    assert worse.performance.degraded
    assert worse.decision.retrain


def test_label_by_label_the_loss_is_that_of_all_classes(tmp_path: Path) -> None:
    production = Production(tmp_path, "roc_auc")
    for day in range(2):
        production.day(day)
    calm = production.look(1).losses
    assert calm is not None
    assert (calm.kind, calm.labels, calm.degraded) == (LossKind.BRIER_OF_CLASSES, 1_200, False)
    assert calm.recent == pytest.approx(calm.expected, rel=0.1)
    production.day(2, wrong=0.5)
    found = production.look(2).losses
    assert found is not None
    assert found.degraded


def test_predictions_from_before_the_log_kept_probabilities_are_judged_by_accuracy(tmp_path: Path) -> None:
    production = Production(tmp_path, "roc_auc")
    before = LossProfile(LossKind.BRIER, 4_000, 0.2, 0.2, 1.0)
    production.manifest = replace(production.manifest, profile=replace(production.manifest.profile, losses=before))
    production.day(0, whole=False)
    report = production.look(0)
    assert report.performance is not None
    assert report.performance.metric == "accuracy"
    assert report.losses is not None
    assert (report.losses.kind, report.losses.labels) == (LossKind.BRIER, 600)


def test_cohorts_are_judged_by_the_metric_of_training(tmp_path: Path) -> None:
    production = Production(tmp_path, "log_loss")
    production.day(0)
    given = (production.project, production.manifest, 1, production.log, production.labels)
    found = cohorts(*given, START - DAY, START + DAY)
    expected = production.manifest.evaluation.test["log_loss"]
    assert (found.metric, found.expected) == ("log_loss", expected)
    assert found.cohorts[0].value == pytest.approx(expected, rel=0.15)


def test_a_label_whose_prediction_lacks_a_class_waits_for_no_loss_of_all_classes(tmp_path: Path) -> None:
    production = Production(tmp_path, "log_loss")
    production.day(0)
    short = structs.replace(production.log.records[0], probabilities={CLASSES[0]: 1.0})
    production.log.records[0] = short
    found = production.look(0)
    assert found.losses is not None
    assert found.losses.labels == 599
