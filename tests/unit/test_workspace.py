"""The verbs of a project from Python: what they take, what they give, and what they refuse."""

from __future__ import annotations

import getpass
import importlib
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from tests.integration import projects
from tests.integration.projects import SmallProject

import everfit
from everfit import scheduler
from everfit.data.frames import Table
from everfit.errors import (
    ChecksFailed,
    GateFailed,
    NotReady,
    ProjectError,
    ReleaseError,
    RequestError,
    SourceError,
    StorageError,
)
from everfit.flow import alerting, ledger, quality
from everfit.records.watch import AlarmKind, AlarmState
from everfit.testing.churn import ENTITY, TARGET
from everfit.testing.labels import latest
from everfit.trained import Trained
from everfit.workspace import Workspace, ingest

ASKED = projects.customers(20, seed=5, first=20_000).drop(TARGET, "event_timestamp")


@pytest.fixture
def workspace(released: SmallProject) -> Workspace:
    return everfit.load(released.file)


def damage(workspace: Workspace, version: int) -> None:
    """Changes a file of the version's bundle."""
    digest = ledger.versions(workspace.ports.state)[version].bundle_hash
    (workspace.ports.folder / "artifacts" / digest[:2] / digest / "card.md").write_text("something else")


def again(project: SmallProject, *settings: str) -> Workspace:
    """The project with a version 2, registered and not released."""
    project.open("training.seed=7", "gates.not_worse_than=null").run()
    return project.open(*settings)


def test_a_run_gives_its_candidates_metrics_gates_and_version(trained: SmallProject) -> None:
    run = everfit.load(trained.file).run()
    assert run.version == 1
    assert [candidate.family for candidate in run.candidates] == ["logistic"]
    assert run.evaluation.test["roc_auc"] > 0.6
    assert run.gates.passed
    assert [gate.gate for gate in run.gates.results] == ["beats_baseline", "roc_auc", "not_worse_than_production"]
    assert run.quality.rows == 800
    assert run.took("logistic") > 0


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame,
        lambda frame: frame.to_pandas(),
        lambda frame: frame.to_arrow(),
        lambda frame: frame.to_dicts(),
        lambda frame: tuple(frame.to_dicts()),
        lambda frame: frame.with_columns(pl.col("contract_type").cast(pl.Categorical)),
        lambda frame: frame.to_pandas().set_index(pd.Index(range(50, 70))),
    ],
    ids=["polars", "pandas", "arrow", "rows", "tuple", "categorical", "index"],
)
def test_the_same_customers_get_the_same_answers_in_any_form(workspace: Workspace, convert: Any) -> None:
    expected, found = workspace.predict(ASKED), workspace.predict(convert(ASKED))
    assert found.columns == ["id", ENTITY, "prediction", "score", "version", "arm"]
    assert found.drop("id").equals(expected.drop("id"))
    assert found[ENTITY].to_list() == ASKED[ENTITY].to_list()
    assert [record.id for record in workspace.ports.log.read()] == [*expected["id"], *found["id"]]


def test_a_number_that_is_none_counts_as_missing_whatever_it_came_in(workspace: Workspace) -> None:
    gone = ASKED.with_columns(pl.lit(None, pl.Float64).alias("age"))
    nan = gone.with_columns(pl.lit(float("nan")).alias("age"))
    scores = [workspace.predict(table)["score"].to_list() for table in (gone, nan, nan.to_pandas(), nan.to_dicts())]
    assert scores[1:] == scores[:1] * 3
    assert scores[0] != workspace.predict(ASKED)["score"].to_list()


def test_columns_that_the_model_does_not_read_may_hold_anything(workspace: Workspace) -> None:
    more = ASKED.with_columns(pl.lit([[1, 2]]).alias("lists"), pl.lit(b"raw").alias("bytes"))
    assert workspace.predict(more).height == ASKED.height


@pytest.mark.parametrize("table", [None, 3, "customers.csv", {"age": [1]}, pl.Series([1]), [1], ["ab"]])
def test_what_is_no_table_is_refused_in_words(workspace: Workspace, table: Any) -> None:
    with pytest.raises(SourceError, match=r"is not read as a table(.|\n)*fix: give a polars or pandas DataFrame"):
        workspace.predict(table)


def test_a_column_of_two_types_is_refused_in_words(workspace: Workspace) -> None:
    with pytest.raises(SourceError, match="a DataFrame is not read as a table"):
        workspace.predict(pd.DataFrame({"age": [1, "old"]}))
    with pytest.raises(RequestError, match="'old' is not a number"):
        workspace.predict([{**ASKED.to_dicts()[0], "age": "old"}])


@pytest.mark.parametrize("table", [ASKED.clear(), [], ASKED.clear().to_arrow()])
def test_no_rows_get_no_answers_of_the_usual_types(workspace: Workspace, table: Table) -> None:
    found = workspace.predict(table)
    assert found.height == 0
    assert found.schema == workspace.predict(ASKED).schema


def test_a_table_without_any_column_of_the_model_is_refused(workspace: Workspace) -> None:
    with pytest.raises(RequestError, match="there is no column 'tenure'"):
        workspace.predict(ASKED.select(pl.all().name.prefix("customer.")))


def test_a_column_that_is_absent_is_named_once_with_the_nearest(workspace: Workspace) -> None:
    with pytest.raises(RequestError) as caught:
        workspace.predict(ASKED.rename({"age": "Age"}))
    assert caught.value.what == "there is no column 'age', did you mean 'Age'?"
    assert not list(workspace.ports.log.read())


def test_a_refused_row_is_counted_as_in_the_table(workspace: Workspace) -> None:
    many = pl.concat([ASKED] * 51, how="vertical").with_columns(pl.col("age").cast(pl.String))
    bad = many.with_columns(pl.when(pl.int_range(pl.len()) == 1006).then(pl.lit("old")).otherwise("age").alias("age"))
    for table in (bad, bad.head(1007)[1006:]):
        row = 1007 if table.height > 1 else 1
        with pytest.raises(RequestError, match=f"table: row {row}, age: 'old' is not a number"):
            workspace.predict(table)


@pytest.mark.parametrize("setting", ["data.entity", "data.time"])
def test_a_setting_that_names_no_column_is_refused_before_anything_is_trained(
    trained: SmallProject, setting: str
) -> None:
    with pytest.raises(ProjectError, match=rf"{setting}: the table has no column 'contract'; did you mean 'contract_t"):
        trained.open(f"{setting}=contract").run()


def test_a_project_without_a_release_predicts_nothing(trained: SmallProject) -> None:
    with pytest.raises(NotReady, match="everfit release"):
        everfit.load(trained.file).predict(ASKED)


@pytest.mark.parametrize("name", ["clone", "to_pandas", "to_arrow", "to_dicts"])
def test_labels_are_taken_in_any_form_and_once(workspace: Workspace, name: str) -> None:
    answers = workspace.predict(ASKED)
    truths = getattr(pl.DataFrame({"prediction_id": answers["id"], TARGET: ["Yes", "No"] * 10}), name)()
    first, second = workspace.label(truths), workspace.label(truths)
    assert (first.rows, first.matched, first.new, second.new) == (20, 20, 20, 0)
    assert latest(workspace.ports.labels)[answers["id"][0]].value == "Yes"


def test_a_truth_is_one_however_it_is_spelled(workspace: Workspace) -> None:
    answers = workspace.predict(ASKED)
    spellings = [["Yes", "No"] * 10, ["yes", "NO"] * 10, [True, False] * 10, [1, 0] * 10, [1.0, 0.0] * 10]
    tables = [pl.DataFrame({"id": answers["id"], "value": truths}) for truths in spellings]
    assert [workspace.label(table).new for table in tables] == [20, 0, 0, 0, 0]


def test_labels_by_entity_are_about_its_newest_prediction(workspace: Workspace) -> None:
    first, second = workspace.predict(ASKED), workspace.predict(ASKED)
    found = workspace.label([{ENTITY: ASKED[ENTITY][0], TARGET: "Yes"}, {ENTITY: ASKED[ENTITY][1], TARGET: None}])
    assert (found.rows, found.matched, found.new) == (2, 1, 1)
    assert list(latest(workspace.ports.labels)) == [second["id"][0]]
    assert first["id"][0] != second["id"][0]


def test_labels_of_an_entity_that_is_kept_as_a_hash_find_its_prediction(
    released: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKING_KEY", "secret")
    workspace = released.open(f"data.personal={{{ENTITY}: hash}}", "data.key=${MASKING_KEY}")
    answers = workspace.predict(ASKED)
    assert workspace.label([{ENTITY: ASKED[ENTITY][0], TARGET: "Yes"}]).matched == 1
    assert list(latest(workspace.ports.labels)) == [answers["id"][0]]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({TARGET: "Perhaps"}, "'Perhaps' is not one of the classes No, Yes"),
        ({TARGET: "Yes", "known_at": "yesterday"}, "'yesterday' is no time"),
        ({"other": "Yes"}, "a table of labels needs `prediction_id` or `customer_id`, and `churn` or `value`"),
    ],
)
def test_labels_that_are_none_are_refused_and_nothing_is_stored(
    workspace: Workspace, label: dict[str, str], words: str
) -> None:
    answers = workspace.predict(ASKED)
    good = {"prediction_id": answers["id"][0], **({TARGET: "Yes"} if TARGET in label else {})}
    with pytest.raises(SourceError, match=words):
        workspace.label([good, {"prediction_id": answers["id"][1], **label}])
    assert dict(latest(workspace.ports.labels)) == {}


def test_labels_before_a_release_are_refused(trained: SmallProject) -> None:
    with pytest.raises(NotReady, match="nothing was predicted yet"):
        trained.open().label([{ENTITY: "C1", TARGET: "Yes"}])


def test_a_release_goes_to_the_registry_and_back(released: SmallProject) -> None:
    workspace = again(released, "release.strategy=immediate")
    assert workspace.release(2).champion == 2
    assert workspace.predict(ASKED)["version"].unique().to_list() == [2]
    assert workspace.rollback().champion == 1
    assert workspace.predict(ASKED)["version"].unique().to_list() == [1]
    with pytest.raises(ReleaseError, match="was rolled back"):
        workspace.release(2)


def test_what_was_done_is_written_down_with_its_author(trained: SmallProject) -> None:
    Workspace(everfit.load(trained.file).loaded, author="ann").release()
    last = trained.events()[-1]
    assert (last.kind, last.version, last.by) == ("promoted", 1, "ann")


def test_a_process_whose_user_has_no_name_is_an_author_too(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert everfit.load(trained.file).author.startswith("user ")


def test_no_model_passes_the_comparison_with_a_champion_that_is_damaged(workspace: Workspace) -> None:
    damage(workspace, 1)
    with pytest.raises(StorageError, match=r"no model can be compared(.|\n)*gates\.not_worse_than=null"):
        workspace.run()


def test_a_damaged_champion_is_made_anew_by_a_run_without_the_comparison(
    workspace: Workspace, released: SmallProject
) -> None:
    damage(workspace, 1)
    with pytest.raises(StorageError, match="missing or was changed on disk"):
        workspace.predict(ASKED)
    assert released.open("gates.not_worse_than=null").run().version == 1
    assert workspace.predict(ASKED).height == ASKED.height


def test_a_worse_model_is_not_registered_and_the_champion_stays(released: SmallProject) -> None:
    refused = list[Trained]()
    with pytest.raises(GateFailed, match="nothing was registered"):
        released.open("gates.roc_auc=0.999").run(refused=refused.append)
    assert [gate.gate for gate in refused[0].gates.results if not gate.passed] == ["roc_auc"]
    assert refused[0].candidates[0].family == "logistic"
    assert ledger.current(released.open().ports.state).latest == 1


def test_a_project_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(everfit.EverfitError, match=r"everfit\.yaml"):
        everfit.load(tmp_path / "everfit.yaml")


RANKER = """\
from sklearn.naive_bayes import GaussianNB


class Ranker(GaussianNB):
    def predict_proba(self, X):
        share = super().predict_proba(X)[:, 1:] ** {power}
        return __import__("numpy").hstack([1 - share, share])
"""


def test_an_estimator_of_ones_own_that_scores_otherwise_is_measured_anew(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    trained.edit("[logistic]", "[{name: mine, class: ranker_of_ones_own.Ranker}]")
    losses = []
    for power in (1, 3):  # neither changes the order of the scores, and so not the metric that the search goes by
        (trained.folder / "ranker_of_ones_own.py").write_text(RANKER.format(power=power))
        monkeypatch.delitem(sys.modules, "ranker_of_ones_own", raising=False)
        importlib.invalidate_caches()
        losses.append(everfit.load(trained.file).run().evaluation.test["log_loss"])
    assert losses[0] != losses[1]


def test_a_module_beside_the_features_is_known_by_its_text(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (trained.folder / "features.py").write_text(
        "import beside_the_features\n\n\ndef loyal(tenure):\n    return beside_the_features.at_least(tenure)\n"
    )
    shares = []
    for months in (12, 48):
        (trained.folder / "beside_the_features.py").write_text(f"def at_least(x):\n    return x > {months}\n")
        monkeypatch.delitem(sys.modules, "beside_the_features", raising=False)
        importlib.invalidate_caches()
        shares.append(everfit.load(trained.file).run().run["features"]["loyal"].mean())
    assert shares[0] > shares[1]


def test_a_run_on_broken_data_is_an_alarm_until_one_passes(released: SmallProject) -> None:
    workspace = released.open()
    good = released.table.read_text()
    pl.read_csv(released.table).with_columns(pl.lit(None).alias(TARGET)).write_csv(released.table)
    with pytest.raises(ChecksFailed):
        workspace.run()
    (raised,) = [one for one in alerting.history(workspace.ports.state) if one.kind is AlarmKind.QUALITY]
    assert raised.state is AlarmState.OPEN
    assert "of the table of a run: target_missing of churn" in raised.message
    released.table.write_text(good)
    workspace.run()
    (over,) = [one for one in alerting.history(workspace.ports.state) if one.kind is AlarmKind.QUALITY]
    assert over.state is AlarmState.RESOLVED
    assert [look.score < 1 for look in quality.of_runs(workspace.ports.state)][-2:] == [True, False]


def test_data_read_by_itself_is_checked_kept_and_told(released: SmallProject) -> None:
    version, report = ingest(released.open())
    assert (version.rows, report.is_valid) == (800, True)
    broken = released.open("checks=[{column: tenure, max: 1}]")
    with pytest.raises(ChecksFailed):
        ingest(broken)
    state = broken.ports.state
    assert [one.rows for one in quality.of_runs(state)][-2:] == [800, 800]
    assert [one.kind for one in alerting.history(state)] == [AlarmKind.QUALITY]
    came = scheduler._data(broken)
    assert (came.error, came.again) == (True, False)  # another try finds the same
    assert "checks failed" in came.text
