"""Cohorts: what became of the predictions of a day or a week."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from tests.unit.serving_models import MemoryLog, model

from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.flow.cohorts import By, cohorts
from everfit.project.sections.root import Project
from everfit.records.cohorts import Cohorts
from everfit.records.model import Evaluation
from everfit.records.prediction import MIRRORED, Label, PredictionRecord
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def predicted(count: int, at: datetime, version: int = 1) -> list[PredictionRecord]:
    generator = np.random.default_rng(7)
    made = []
    for i, score in enumerate(generator.random(count).tolist()):
        name = model().manifest.classes[int(score >= 0.5)]
        made.append(
            PredictionRecord(f"{at:%d}-{version}-{i}", at, None, {}, {}, "champion", version, score, name, 0.01)
        )
    return made


@pytest.fixture
def store(tmp_path: Path) -> SqliteLabels:
    return SqliteLabels(tmp_path / "labels.db")


def seen(store: SqliteLabels, records: list[PredictionRecord], by: By = "week", target: str = "Churn") -> Cohorts:
    data = {"source": "t.csv", "target": {"column": target, "delay": "7d"}}
    project = Project.model_validate({"project": "churn", "data": data})
    metric = "accuracy" if target == "Churn" else "f1_macro"
    found = Profile((), ColumnProfile("score", Kind.NUMERIC, 0, 0), metric, 0.9, 400)
    about = replace(model(target).manifest, profile=found, evaluation=Evaluation({}, {metric: 0.9}, {}, ()))
    now = MONDAY + 20 * DAY
    return cohorts(project, about, 1, MemoryLog(records), store, MONDAY - 60 * DAY, now, by)


def test_a_cohort_counts_what_is_due_what_is_labelled_and_how_good_it_was(store: SqliteLabels) -> None:
    old, young = predicted(200, MONDAY + DAY), predicted(50, MONDAY + 15 * DAY)
    told = [Label(one.id, str(one.prediction) if i % 10 else "No", MONDAY + 5 * DAY) for i, one in enumerate(old[:150])]
    store.put([replace(label, stored_at=MONDAY + 5 * DAY) for label in told])
    first, second = seen(store, old + young).cohorts
    assert (first.start, first.predictions, first.matured, first.labelled, first.late) == (MONDAY, 200, 200, 150, 0)
    assert first.coverage == 0.75
    right = sum(label.value == one.prediction for label, one in zip(told, old, strict=False))
    assert first.value == right / 150
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    assert (second.predictions, second.matured, second.labelled, second.value) == (50, 0, 0, None)


def test_days_are_cohorts_too_and_other_versions_and_shadows_are_not_in_them(store: SqliteLabels) -> None:
    mine = [*predicted(10, MONDAY), *predicted(20, MONDAY + DAY)]
    others = [*predicted(5, MONDAY, version=2), structs.replace(mine[0], id=f"x{MIRRORED}")]
    found = seen(store, mine + others, by="day").cohorts
    assert [(one.start, one.predictions) for one in found] == [(MONDAY, 10), (MONDAY + DAY, 20)]


def test_labels_that_came_after_they_were_due_are_late(store: SqliteLabels) -> None:
    records = predicted(40, MONDAY)
    store.put([Label(one.id, "No", MONDAY + (9 if i < 15 else 2) * DAY) for i, one in enumerate(records)])
    (found,) = seen(store, records).cohorts
    assert (found.labelled, found.late) == (40, 15)


def test_several_classes_are_judged_by_the_projects_metric_where_the_predicted_class_is_enough(
    store: SqliteLabels,
) -> None:
    classes = model("level").manifest.classes
    records = [structs.replace(one, prediction=classes[i % 3]) for i, one in enumerate(predicted(90, MONDAY))]
    store.put([Label(one.id, classes[i % 3 if i % 5 else 0], MONDAY + DAY) for i, one in enumerate(records)])
    found = seen(store, records, target="level")
    assert found.metric == "f1_macro"
    assert found.cohorts[0].value == pytest.approx(0.86, abs=0.05)
