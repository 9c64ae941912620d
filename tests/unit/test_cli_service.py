"""What the commands around a released model say and which code they end with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import polars as pl
import pytest
from tests.integration import projects
from tests.integration.projects import SmallProject

from everfit.flow import retraining
from everfit.testing.churn import TARGET

BY_SCHEDULE = ("--set=retraining.on=[schedule]", "--set=retraining.schedule=0.001s")


def asked(project: SmallProject) -> str:
    path = project.folder / "asked.csv"
    projects.customers(12, seed=5, first=20_000).drop(TARGET).write_csv(path)
    return str(path)


def test_a_decision_alone_is_one_word(released: SmallProject) -> None:
    assert released.call("monitor", "--decide").out == "false\n"
    assert released.call("monitor", "--decide", *BY_SCHEDULE).out == "true\n"


@pytest.mark.parametrize("other", ["--act", "--watch"])
def test_a_decision_alone_goes_with_no_action(released: SmallProject, other: str) -> None:
    outcome = released.call("monitor", "--decide", other)
    assert outcome.code == 64
    assert "--decide only says whether to retrain" in outcome.err


def test_a_look_is_one_document(released: SmallProject) -> None:
    said = json.loads(released.call("monitor", "--json").out)
    assert said["report"]["decision"]["retrain"] is False
    assert said["retraining"] is None


def test_a_retraining_that_released_nothing_is_no_success(released: SmallProject) -> None:
    outcome = released.call("monitor", "--act", "--set=gates.roc_auc=0.999", *BY_SCHEDULE)
    assert outcome.code == 5
    assert "The retraining released nothing" in outcome.out
    (done,) = retraining.history(released.open().ports.state)
    assert not done.deployed


def test_predictions_are_written_beside_their_ids(released: SmallProject) -> None:
    target = released.folder / "scores.parquet"
    outcome = released.call("predict", asked(released), "-o", str(target))
    assert outcome.code == 0, outcome.err
    ids = pl.read_parquet(target)["id"].to_list()
    assert ids == [record.id for record in released.open().ports.log.read()]
    assert [path.name for path in released.folder.glob(".*unfinished")] == []


def test_without_the_log_the_champion_answers_alone(released: SmallProject) -> None:
    targets = [released.folder / name for name in ("logged.csv", "quick.csv")]
    before = len(list(released.open().ports.log.read()))
    for target, option in zip(targets, ("--log", "--no-log"), strict=True):
        assert released.call("predict", asked(released), "-o", str(target), option).code == 0
    logged, quick = (pl.read_csv(target) for target in targets)
    assert quick["score"].to_list() == logged["score"].to_list()
    assert "id" not in quick.columns
    assert len(list(released.open().ports.log.read())) == before + 12


def test_an_executor_s_workers_write_the_same_file(released: SmallProject) -> None:
    targets = [released.folder / name for name in ("here.parquet", "elsewhere.parquet")]
    for target, options in zip(targets, ((), ("--executor", "processes")), strict=True):
        outcome = released.call("predict", asked(released), "-o", str(target), "--no-log", *options)
        assert outcome.code == 0, outcome.err
    assert targets[0].read_bytes() == targets[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--executor", "ray"), "needs --no-log"), (("--no-log", "--executor", "dask"), "'dask' is none of processes")],
)
def test_an_executor_that_cannot_be_is_refused(released: SmallProject, options: Sequence[str], words: str) -> None:
    outcome = released.call("predict", asked(released), *options)
    assert outcome.code == 64
    assert words in outcome.err


def test_a_prediction_of_a_file_is_one_document(released: SmallProject) -> None:
    said = json.loads(released.call("predict", asked(released), "--no-log", "--json").out)
    assert (said["rows"], said["resumed"], len(said["first"])) == (12, 0, 5)


@pytest.mark.parametrize(
    ("target", "code", "words"), [("scores.xlsx", 2, "says no format"), ("no/scores.csv", 8, "there is no such folder")]
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_scored(
    released: SmallProject, target: str, code: int, words: str
) -> None:
    outcome = released.call("predict", asked(released), "-o", str(released.folder / target))
    assert outcome.code == code
    assert words in outcome.err
    assert list(released.open().ports.log.read()) == []


def test_without_a_release_nothing_is_predicted_and_no_label_taken(trained: SmallProject) -> None:
    assert trained.call("predict", asked(trained)).code == 11
    (trained.folder / "labels.csv").write_text("prediction_id,churn\nabc,Yes\n")
    assert trained.call("labels", str(trained.folder / "labels.csv")).code == 11


def test_labels_about_nothing_are_said_to_be_so(released: SmallProject) -> None:
    (released.folder / "labels.csv").write_text("prediction_id,churn\nabc,Yes\n")
    outcome = released.call("labels", str(released.folder / "labels.csv"))
    assert outcome.code == 0
    assert "none of them is about a prediction in the log" in outcome.out


def test_truths_come_from_a_query_and_are_shown_by_cohort(
    released: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = released.open()
    answers = workspace.predict(projects.customers(60, seed=5, first=20_000).drop("churn", "event_timestamp"))
    connection = sqlite3.connect(released.folder / "shop.db")
    connection.execute("CREATE TABLE truths (id, left)")
    connection.executemany("INSERT INTO truths VALUES (?, ?)", [(one, "No") for one in answers["id"].head(45)])
    connection.commit()
    connection.close()
    query = ["labels", "--sql", "SELECT id AS prediction_id, left AS value FROM truths", "--database", "SHOP"]
    missing = released.call(*query)
    assert missing.code == 2
    assert "export SHOP=" in missing.err
    monkeypatch.setenv("SHOP", f"sqlite:///{released.folder / 'shop.db'}")
    assert "45 new labels of 45 rows" in released.call(*query).out
    shown = released.call("labels", "--show")
    assert "75.0% of the predictions that are due have a label" in shown.out, shown.err
    (cohort,) = json.loads(released.call("labels", "--show", "--by", "day", "--json").out)["cohorts"]["cohorts"]
    assert (cohort["predictions"], cohort["labelled"]) == (60, 45)


@pytest.mark.parametrize("arguments", [[], ["a.csv", "--show"], ["a.csv", "--sql", "SELECT 1"]])
def test_labels_come_from_one_place(released: SmallProject, arguments: list[str]) -> None:
    assert released.call("labels", *arguments).code == 64


def test_a_look_at_the_canary_takes_no_version(released: SmallProject) -> None:
    assert released.call("release", "1", "--look").code == 64
    assert "No version is on trial" in released.call("release", "--look").out


def test_a_server_for_other_machines_is_refused(released: SmallProject) -> None:
    assert released.call("serve", "--host", "192.0.2.1").code == 2
