"""What a run says of its model: chosen without the test rows, measured on them, compared with the champion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.adapters.executors.serial import SerialExecutor
from everfit.features.functions import load
from everfit.flow.run import Silent
from everfit.flow.training import Outside, pipeline
from everfit.project.sections.training import Threshold
from everfit.trained import Trained
from everfit.wiring import Ports
from everfit.workspace import Workspace
from tests.integration.projects import START, SmallProject

CHOSEN = ("best", "out_of_fold", "calibration", "threshold")


def chosen(trained: Trained, workspace: Workspace, truth: NDArray[np.int64]) -> list[object]:
    """All that the pipeline chooses where the target is this, by the pipeline's own steps."""
    training = workspace.project.training.model_copy(update={"threshold": Threshold(best="f1")})
    graph, given = pipeline(workspace.project.model_copy(update={"training": training}), _outside(workspace.ports))
    known = {name: one.value for name, one in given.items()} | {"truth": truth, "test": trained.run["test"]}
    needed = set(CHOSEN)
    for step in reversed(graph.steps):
        needed |= set(step.sources) if step.name in needed else set()
    again = {"truth"}

    def take(need: str | tuple[str, ...]) -> object:
        if isinstance(need, tuple):
            return tuple(take(name) for name in need)
        return known[need] if need in known else trained.run[need]

    for step in graph.steps:
        if step.name in needed - known.keys() and again & set(step.sources):
            known[step.name] = step.function(**{name: take(need) for name, need in step.needs.items()})
            again.add(step.name)
    assert again > set(CHOSEN)
    return [_plain(known[name]) for name in CHOSEN]


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _outside(ports: Ports) -> Outside:
    return Outside(
        source=ports.source,
        functions=load("", "features.py"),
        champion=None,
        champion_digest="",
        executor=SerialExecutor(),
        progress=Silent(),
        registry=ports.registry,
        artifacts=ports.artifacts,
        state=ports.state,
        author="",
        cores=1,
        clock=lambda: START,
    )


def test_nothing_is_chosen_on_the_test_rows(trained: SmallProject) -> None:
    workspace = trained.open()
    done = workspace.run()
    truth, test = done.run["truth"], done.run["test"]
    here = chosen(done, workspace, truth)
    assert chosen(done, workspace, np.where(test, 1 - truth, truth)) == here
    assert chosen(done, workspace, np.where(test, truth, 1 - truth)) != here


def test_a_threshold_for_an_objective_is_in_the_bundle_and_what_the_metrics_stand_at(
    project: Callable[..., SmallProject],
) -> None:
    made = project(rows=700)
    made.edit("  executor: serial", "  executor: serial\n  threshold: {precision_at_recall: 90%}\n  calibration: platt")
    outcome = made.call("run", "--json")
    assert outcome.code == 0, outcome.err
    manifest = made.open().run().run["manifest"]
    assert manifest.threshold == manifest.threshold_choice.value != 0.5
    assert manifest.threshold_choice.reached["recall"] >= 0.9
    assert manifest.calibration.method == "platt"
    test = json.loads(outcome.out)["evaluation"]["test"]
    assert test["recall"] > 0.75


def test_a_run_shows_intervals_and_how_it_stands_beside_the_champion(released: SmallProject) -> None:
    released.edit("budget: {trials: 2, folds: 2}", "budget: {trials: 1, folds: 3}")
    outcome = released.call("run")
    assert outcome.code == 0, outcome.err
    assert "95% interval" in outcome.out
    assert "Beside the champion on the same" in outcome.out
    found = json.loads(released.call("run", "--json").out)
    auc = next(one for one in found["differences"] if one["metric"] == "roc_auc")
    assert auc["low"] <= auc["difference"] <= auc["high"]
    around = found["evaluation"]["intervals"]["roc_auc"]
    assert around["low"] <= found["evaluation"]["test"]["roc_auc"] <= around["high"]
    gate = next(one for one in found["gates"]["results"] if one["gate"] == "not_worse_than_production")
    assert "difference for the better" in gate["reason"]


def test_a_column_that_tells_the_answer_is_warned_of_and_stops_nothing(project: Callable[..., SmallProject]) -> None:
    made = project(rows=600)
    table = pl.read_csv(made.table)
    told = pl.when(pl.col("churn") == "Yes").then(pl.lit("closed [x]")).otherwise(pl.lit("open"))
    table.with_columns(told.alias("account")).write_csv(made.table)
    outcome = made.call("run")
    assert outcome.code == 0, outcome.err
    assert "account: predicts alone" in outcome.out
    found = json.loads(made.call("run", "--json").out)
    assert [(one["kind"], one["column"]) for one in found["leakage"]] == [("predicts alone", "account")]
    assert found["evaluation"]["slices"]["judged"] > 10


def test_a_run_ends_with_its_card(trained: SmallProject) -> None:
    outcome = trained.call("run", "--json")
    card = Path(json.loads(outcome.out)["card"])
    assert f"{trained.open().run().card}" == str(card)
    document = json.loads((card.parent / "card.json").read_text())
    auc = next(row for row in document["sections"]["metrics"]["values"] if row["Metric"] == "roc_auc")
    assert auc["Test"] == json.loads(outcome.out)["evaluation"]["test"]["roc_auc"]
    assert [row["Family"] for row in document["sections"]["candidates"]["values"]] == ["logistic"]
    assert card.read_text().count("data:image/png;base64,") == 4
    assert "accuracy" in (card.parent / "classification_report.txt").read_text()
    assert (card.parent / "feature_importance.csv").read_text().startswith("feature,importance\n")


def test_metrics_have_the_names_that_people_look_for(trained: SmallProject) -> None:
    found = trained.open().run().run["manifest"].metrics
    named = ("accuracy", "precision", "recall", "f1", "roc_auc")
    assert {f"test_{name}" for name in named} | {
        "train_accuracy",
        "cv_mean_accuracy",
        "cv_std_accuracy",
    } <= found.keys()
    assert {"cv_mean", "cv_std", "accuracy", "precision", "recall", "f1_score"} <= found.keys()
    assert (found["f1_score"], found["cv_mean"]) == (found["test_f1"], found["cv_mean_roc_auc"])
