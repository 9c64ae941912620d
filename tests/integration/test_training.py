"""Training through `everfit run`: what one family's change does to the others, blends, weights, families that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everfit.errors import ProjectError
from everfit.features.encoder import output_names
from everfit.flow import ledger
from everfit.flow.steps import model
from everfit.flow.steps.features import matrix
from everfit.records.model import Candidate, Member
from everfit.records.run import Status
from everfit.training import bundle
from tests.integration.projects import SmallProject

FAMILIES = "  models: [logistic]"
TWO = "  models: [logistic, {name: random_forest, params: {n_estimators: 10}}]"


NUMBERS = """\
project: prices
data: {source: customers.csv, target: {column: price}, entity: customer_id}
training: {models: [logistic], budget: {trials: 1, folds: 3}, executor: serial}
monitoring: {rows: 200}
alerts: []
"""


def statuses(project: SmallProject) -> dict[str, Status]:
    """How each step of the last run ended."""
    return {step.name: step.status for step in project.runs()[-1].steps}


def test_a_family_that_is_added_trains_itself_and_nothing_of_the_others(trained: SmallProject) -> None:
    trained.edit(FAMILIES, TWO)
    run = trained.open().run()
    found = statuses(trained)
    assert found["first_random_forest"] is found["search_random_forest"] is Status.DONE
    assert found["folds"] is found["first_logistic"] is found["search_logistic"] is Status.CACHED
    assert {candidate.family for candidate in run.candidates} >= {"logistic", "random_forest"}


def test_a_family_that_fails_is_told_and_the_others_go_on(project: Callable[..., SmallProject]) -> None:
    made = project(rows=400)
    made.edit(FAMILIES, "  models: [logistic, {name: random_forest, params: {min_samples_leaf: -1}}]")
    outcome = made.call("run")
    assert outcome.code == 0, outcome.err
    assert [line.split()[:2] for line in outcome.out.splitlines() if "failed" in line] == [["random_forest", "failed"]]
    candidates = json.loads(made.call("run", "--json").out)["candidates"]
    assert [one["family"] for one in candidates] == ["logistic", "random_forest"]
    assert "min_samples_leaf" in candidates[1]["tried"][0]["error"]


def test_when_every_family_fails_the_run_says_what_each_of_them_said(project: Callable[..., SmallProject]) -> None:
    made = project(rows=400)
    made.edit(FAMILIES, "  models: [{name: logistic, params: {C: -1.0}}]")
    outcome = made.call("run")
    assert outcome.code == 6
    assert "logistic: InvalidParameterError" in outcome.err


def test_weights_classes_and_monotone_features_reach_every_fit(project: Callable[..., SmallProject]) -> None:
    made = project(rows=600)
    table = pl.read_csv(made.table)
    table.with_columns(pl.Series("importance", np.random.default_rng(0).integers(0, 3, 600))).write_csv(made.table)
    made.edit("  entity: customer_id", "  entity: customer_id\n  weight: importance")
    made.edit(
        FAMILIES, "  models: [lightgbm]\n  class_weight: balanced\n  monotone: {tenure: decreasing}\n  select: best"
    )
    run = made.open("training.calibration=none").run()
    assert "importance" not in run.run["names"]
    # Twice as many are called positive as there are: balanced classes say so.
    scores, truth = run.run["scores"][:, 1], run.run["truth"]
    assert scores.mean() > truth.mean() + 0.1
    encoder, scorer = run.run["encoder"], bundle.read_estimator(run.run["estimator"])
    line = np.zeros((50, bundle_width(run.run["estimator"])))
    line[:, [e.name for e in encoder.numeric].index("tenure")] = np.linspace(-2, 2, 50)
    assert np.diff(scorer.score(line)[:, 1]).max() <= 1e-12


def bundle_width(folder: Path) -> int:
    """The columns that a LightGBM model reads."""
    text = (folder / "model.txt").read_text()
    return int(text.partition("max_feature_idx=")[2].partition("\n")[0]) + 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("data.weight=importanse", "no column 'importanse'"),
        ("data.weight=contract_type", "not numbers"),
        ("training.class_weight={maybe: 2}", "no class 'maybe'"),
        ("training.monotone={tenur: increasing}", "'tenur'; did you mean 'tenure'?"),
        ("training.monotone={contract_type: increasing}", "no numeric feature 'contract_type'"),
        ("training.models=[blend]", "blend"),
    ],
)
def test_a_setting_that_names_what_is_not_there_is_refused(
    project: Callable[..., SmallProject], wrong: str, said: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        project(rows=300).open(wrong).run()
    assert said in str(caught.value)


def test_a_blend_is_trained_stored_and_read_as_one_model(project: Callable[..., SmallProject], tmp_path: Path) -> None:
    made = project(rows=500)
    made.edit(FAMILIES, TWO)
    run = made.open().run().run
    members = tuple(
        Member(one.family, one.params, weight) for one, weight in zip(run["candidates"], (0.3, 0.7), strict=False)
    )
    best = replace(run["best"], family="blend", members=members)
    training = made.open().project.training

    def fit(candidate: Candidate, into: Path) -> None:
        into.mkdir()
        model.estimator(
            candidate, training.models, run["encoder"], run["features"], run["truth"], run["weight"], run["test"],
            run["terms"], 1, into,
        )  # fmt: skip

    whole, parts = tmp_path / "whole", []
    fit(best, whole)
    x = matrix(run["encoder"], run["features"])
    for member in members:
        part = tmp_path / member.family
        fit(Candidate(member.family, member.params, "roc_auc", 0.0, 0.0, 1), part)
        parts.append(bundle.read_estimator(part).score(x))
    assert bundle.read_estimator(whole).score(x).tobytes() == (0.3 * parts[0] + 0.7 * parts[1]).tobytes()


def test_random_search_runs_from_the_file(project: Callable[..., SmallProject]) -> None:
    made = project(rows=400)
    run = made.open("training.search=random", "training.budget.trials=3").run()
    (found,) = run.candidates
    assert [len(trial.scores) for trial in found.tried] == [2, 2, 2]
    assert run.took("logistic") > 0


def test_the_search_reads_a_sample_of_a_large_table_and_the_best_is_fitted_on_all_of_it(
    project: Callable[..., SmallProject],
) -> None:
    made = project(rows=1_500)
    found = made.open("training.budget.rows=1000").run().run
    truth, sample, test = found["truth"], found["searched_rows"], found["test"]
    assert sample.sum() == 1_000 < (~test).sum()
    assert not (sample & test).any()
    assert abs(truth[sample].mean() - truth[~test].mean()) < 0.002
    assert sum(len(fold.y_valid) for fold in found["folds"]) == len(found["out_of_fold"]) == 1_000
    assert found["manifest"].searched_rows == 1_000
    assert "cross-validation on 1,000 of the training rows" in (found["bundle"] / "card.md").read_text()
    whole = made.open().run().run
    assert whole["manifest"].searched_rows == (~test).sum()
    assert whole["encoder"] == found["encoder"]  # of all training rows both times


def test_two_runs_of_the_same_project_make_the_same_bundle(project: Callable[..., SmallProject]) -> None:
    digests: list[str] = []
    for name, executor in (("one", "serial"), ("two", "processes")):
        made = project(rows=400, name=name)
        made.edit(FAMILIES, "  models: [logistic, spline_logistic, lightgbm]")
        made.open(f"training.executor={executor}", "training.budget.trials=6").run()
        digests += [version.bundle_hash for version in ledger.versions(made.open().ports.state).values()]
    assert len(digests) == 2
    assert digests[0] == digests[1]


def test_forms_that_are_asked_for_lie_in_the_registered_bundle_and_on_its_card(
    project: Callable[..., SmallProject],
) -> None:
    made = project(rows=400)
    made.edit("  executor: serial", "  executor: serial\n  export: [skops, onnx]")
    run = made.open().run().run
    manifest, folder = run["manifest"], run["bundle"] / "export"
    assert sorted(path.name for path in folder.iterdir()) == ["forms.json", "model.onnx", "model.skops"]
    told = json.loads((folder / "forms.json").read_bytes())
    assert told["columns"] == list(output_names(manifest.encoder))
    assert "export/model.onnx" in bundle.open_bundle(run["bundle"]).files
    assert "Exported as onnx" in (run["bundle"] / "card.md").read_text()


def test_a_form_that_nobody_knows_is_a_mistake_in_the_project(project: Callable[..., SmallProject]) -> None:
    made = project(rows=400)
    made.edit("  executor: serial", "  executor: serial\n  export: [pmml]")
    outcome = made.call("run")
    assert (outcome.code, "training.export" in outcome.err) == (2, True), outcome.err


def prices(count: int) -> pl.DataFrame:
    """Prices that are the harder to tell the older something is."""
    rng = np.random.default_rng(1)
    rows = pl.DataFrame(
        {"customer_id": [f"c{i}" for i in range(count)], "size": rng.normal(size=count), "age": rng.random(count)}
    )
    price = 3 * rows["size"] + pl.Series(rng.normal(size=count)) * (0.3 + 2 * rows["age"])
    return rows.with_columns(price.alias("price"))


def test_a_regression_foretells_its_error_on_rows_that_moved(project: Callable[..., SmallProject]) -> None:
    made = project(settings=NUMBERS)
    rows = prices(900)
    rows.write_csv(made.table)
    workspace = made.open()
    version = workspace.run().version
    workspace.release(version)
    known = made.open_manifest(version).profile
    assert known.losses is not None
    assert known.loss_model is not None
    workspace.predict(rows.drop("price").filter(pl.col("age") > 0.6))
    report = workspace.monitor()
    assert report.impact is not None
    assert (report.impact.metric, report.impact.relative) == ("rmse", True)
    assert report.impact.drop > 0.2


def test_a_regression_on_a_sample_foretells_its_error_too(project: Callable[..., SmallProject]) -> None:
    made = project(settings=NUMBERS)
    prices(1_500).write_csv(made.table)
    run = made.open("training.budget.rows=1000").run().run
    assert len(run["out_of_fold"]) == 1_000 < len(run["truth"]) - run["test"].sum()
    assert run["profile"].loss_model is not None
