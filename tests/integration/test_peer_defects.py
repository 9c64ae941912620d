"""What was found wrong in other systems of this kind, each as a test that would find it here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everfit.adapters import content
from everfit.data import fingerprint
from everfit.errors import NotReady, StorageError
from everfit.flow import ledger
from everfit.flow.steps import features
from everfit.records.run import Status
from everfit.records.watch import MonitorReport
from everfit.workspace import Workspace
from tests.integration.projects import SETTINGS, SmallProject, customers
from tests.integration.servers import served

ANOTHER = ("--set=data.split.test=0.4", "--set=gates.tolerance=1")


def bundle(workspace: Workspace, version: int) -> Path:
    """The folder of a version."""
    digest = ledger.versions(workspace.ports.state)[version].bundle_hash
    return workspace.ports.folder / "artifacts" / digest[:2] / digest


def registered(project: SmallProject) -> list[int]:
    """What the ledger and the registry agree on."""
    versions = [made.version for made in project.open().ports.registry.versions()]
    assert versions == list(ledger.versions(project.open().ports.state))
    return versions


# 1. Failure reported as success


def test_a_run_in_which_nothing_could_be_trained_fails(trained: SmallProject) -> None:
    trained.edit("models: [logistic]", "models: [{name: logistic, params: {C: -1}}]")
    outcome = trained.call("run")
    assert outcome.code == 6
    assert "could be trained and judged" in outcome.err
    assert trained.runs()[-1].status is Status.FAILED
    assert registered(trained) == [1]


def test_a_retraining_that_fails_says_so_and_the_champion_stays(released: SmallProject) -> None:
    workspace = released.open()
    released.table.write_text("")
    done = workspace.retrain(workspace.monitor(forced=True).decision)
    assert (done.retrained, done.deployed, done.version) == (True, False, None)
    assert "the file is empty" in (done.error or "")
    assert ledger.current(workspace.ports.state).champion == 1


@pytest.mark.parametrize("gate", ["roc_auc=0.9999", "r2=0.1"], ids=["not reached", "without its data"])
def test_a_gate_that_is_not_reached_or_has_no_data_stops_the_run(trained: SmallProject, gate: str) -> None:
    outcome = trained.call("run", f"--set=gates.{gate}")
    assert outcome.code == 5
    assert "nothing was registered" in outcome.err
    assert registered(trained) == [1]


def test_the_gate_against_the_champion_fails_when_the_champion_cannot_be_read(released: SmallProject) -> None:
    (bundle(released.open(), 1) / "bundle.json").write_text("{}")
    outcome = released.call("run", *ANOTHER)
    assert outcome.code == 8
    assert "no model can be compared with the one in production" in outcome.err
    assert registered(released) == [1]


# 2. Faked steps


def test_the_data_version_is_the_content(trained: SmallProject) -> None:
    made = trained.open_manifest().lineage.dataset
    assert made.fingerprint == fingerprint.fingerprint(trained.open().run().run["valid"])
    changed = customers(800).with_columns(tenure=pl.when(pl.int_range(800) == 3).then(71).otherwise("tenure"))
    changed.write_csv(trained.table)
    again = trained.open("gates.tolerance=1").run().run["dataset"]
    assert (again.rows, again.source) == (made.rows, made.source)
    assert again.fingerprint != made.fingerprint


# 3. A rollback that changes nothing; a canary that replaces the one deployment


def test_a_rollback_brings_back_the_answers_of_the_version_before(released: SmallProject) -> None:
    row = dict(released.open_manifest().example)
    assert released.call("run", *ANOTHER).code == 0
    with served(released) as client:

        def answer(version: int) -> float:
            for _ in range(600):  # until the server follows the ledger; each round trip takes milliseconds
                found = client.post("/predict", json=row).json()
                if found["version"] == version:
                    return float(found["score"])
            raise AssertionError(f"version {version} never answered")

        first = answer(1)
        assert released.call("release", "--set=release.strategy=immediate").code == 0
        second = answer(2)
        assert released.call("rollback").code == 0
        assert answer(1) == first != second


def test_in_a_canary_both_versions_answer_and_the_champion_most(released: SmallProject) -> None:
    assert released.call("run", *ANOTHER).code == 0
    assert released.call("release", "--set=release.steps=[20%]").code == 0
    found = released.open().predict(customers(800, seed=5, first=5_000))
    shares = dict(found["version"].value_counts(normalize=True).iter_rows())
    assert shares[2] == pytest.approx(0.2, abs=0.06)
    assert shares[1] + shares[2] == pytest.approx(1)


# 4. Registration before the gate; promotion that skips it; retraining over the champion's file


def test_nothing_is_registered_before_its_gates_nor_released_without(project: Callable[..., SmallProject]) -> None:
    made = project(rows=300)
    assert made.call("run", "--set=gates.roc_auc=0.9999").code == 5
    assert not (made.store / "mlflow.db").exists()
    outcome = made.call("release")
    assert outcome.code == 9
    assert "no version is registered yet" in outcome.err


def test_a_version_that_was_never_registered_cannot_be_released(released: SmallProject) -> None:
    outcome = released.call("release", "9")
    assert outcome.code == 9
    assert "version 9 is not registered" in outcome.err


def test_training_again_leaves_the_champions_files_as_they_are(released: SmallProject) -> None:
    workspace = released.open()
    rows, place = customers(20, seed=8), bundle(workspace, 1)
    before = workspace.predict(rows)["score"]
    assert released.call("run", *ANOTHER).code == 0
    assert content.digest(place, content.files(place)) == place.name
    assert released.open().predict(rows)["score"].equals(before)


# 5. Leakage before the split; medians of the batch


def test_scaler_levels_and_fills_come_from_training_rows_alone(trained: SmallProject) -> None:
    run = trained.open().run().run
    test, table = run["test"], run["features"]
    own = features.fitted(table.filter(~test))
    assert run["encoder"] == own
    assert run["encoder"] != features.fitted(table)


def test_each_fold_has_an_encoder_of_its_own_part(trained: SmallProject) -> None:
    run = trained.open().run().run
    numeric = len(run["encoder"].numeric)
    for fold in run["folds"]:
        # Scaled by its own training part: exactly centred there, and nowhere else.
        assert np.abs(fold.x_train.mean(axis=0)[:numeric]).min() < 1e-12
        assert np.abs(fold.x_valid.mean(axis=0)[:numeric]).max() > 1e-3


def test_a_row_is_answered_alike_alone_and_among_any_others(released: SmallProject) -> None:
    row = customers(1, seed=8).with_columns(age=pl.lit(None, pl.Int64), avg_purchase_amount=pl.lit(None, pl.Float64))
    others = customers(50, seed=9).with_columns(age=pl.lit(100, pl.Int64), avg_purchase_amount=pl.lit(9_999.0))
    workspace = released.open()
    alone = workspace.predict(row)["score"][0]
    assert workspace.predict(pl.concat([row, others]))["score"][0] == alone


# 6. Metrics that never move


def test_the_metrics_of_a_server_move_with_its_requests(released: SmallProject) -> None:
    row = dict(released.open_manifest().example)
    with served(released) as client:

        def total() -> dict[str, float]:
            text = client.get("/metrics").text
            return {
                status: float(n)
                for status, n in re.findall(r'^predictions_total{.*status="(\w+)".*} (.+)$', text, re.M)
            }

        assert total() == {}
        for _ in range(3):
            client.post("/predict", json=row)
        client.post("/predict", json={**row, "tenure": "long"})
        assert total() == {"ok": 3.0, "rejected": 1.0}
        assert 'prediction_latency_seconds_count{arm="champion",version="1"} 3.0' in client.get("/metrics").text


# 7. Monitoring that looks at itself, or away


def looked(project: SmallProject, *columns: pl.Expr) -> MonitorReport:
    """A look after 600 customers from another year, with these columns changed."""
    workspace = project.open()
    workspace.predict(customers(600, seed=21, first=10_000).with_columns(*columns))
    return workspace.monitor()


def test_new_customers_of_the_same_kind_are_no_drift(released: SmallProject) -> None:
    report = looked(released)
    assert report.drift is not None
    assert (report.drift.rows, report.drift.is_drift, report.alarms) == (600, False, ())


HALF = pl.int_range(pl.len()) % 2 == 0
MOVED = {
    "half of all values are 1000": (pl.when(HALF).then(1_000.0).otherwise("monthly_charges").alias("monthly_charges"),),
    "one in ten becomes nine in ten": ((pl.int_range(pl.len()) % 10 > 0).cast(pl.Int64).alias("senior_citizen"),),
    "all are missing": (pl.lit(None, pl.Int64).alias("tenure"),),
    "half are missing": (pl.when(HALF).then("total_charges").alias("total_charges"),),
    "every charge rises by 60 and every tenure by 30": (
        pl.col("monthly_charges") + 60,
        pl.col("tenure") + 30,
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_column_that_moved_is_an_alarm(released: SmallProject, name: str) -> None:
    report = looked(released, *MOVED[name])
    drifted = {column.column for column in report.drift.columns if column.drifted} if report.drift else set()
    assert {expression.meta.output_name() for expression in MOVED[name]} <= drifted
    assert [alarm for alarm in report.alarms if alarm.kind.value == "drift"]


def test_too_few_rows_are_called_untested_and_not_healthy(released: SmallProject) -> None:
    released.open().predict(customers(50, seed=21))
    report = released.open().monitor()
    assert (report.drift, report.performance) == (None, None)
    assert "not tested" in released.call("monitor").out


# 8. Impossible input answered with 200


@pytest.mark.parametrize(("column", "value"), [("tenure", -5), ("monthly_charges", 99_999.0)])
def test_impossible_input_is_refused(released: SmallProject, column: str, value: float) -> None:
    with served(released) as client:
        answer = client.post("/predict", json={**released.open_manifest().example, column: value})
    assert answer.status_code == 422
    assert column in answer.text
    assert list(released.open().ports.log.read()) == []


# 9. Made-up labels, made-up answers, other columns than trained on


def test_rows_without_a_target_are_refused_and_never_filled(trained: SmallProject) -> None:
    customers(800).with_columns(churn=pl.when(HALF).then("churn")).write_csv(trained.table)
    outcome = trained.call("run")
    assert outcome.code == 4
    assert "target_missing: 400 values missing" in outcome.err
    assert registered(trained) == [1]


def test_without_a_model_there_is_no_answer(trained: SmallProject) -> None:
    with pytest.raises(NotReady, match="no model is released yet"):
        trained.open().predict(customers(1))


def test_a_model_that_does_not_load_gives_no_answer(released: SmallProject) -> None:
    estimator = bundle(released.open(), 1) / "model.skops"
    estimator.write_bytes(estimator.read_bytes()[:-1])
    with pytest.raises(StorageError, match="the bundle of version 1 is missing or was changed"):
        released.open().predict(customers(1))
    rows = released.folder / "rows.csv"
    customers(5).write_csv(rows)
    outcome = released.call("predict", str(rows), "-o", str(released.folder / "scores.csv"))
    assert outcome.code == 8
    assert not (released.folder / "scores.csv").exists()


def test_what_answers_is_what_was_trained_to_the_last_bit(released: SmallProject) -> None:
    run = released.open().run().run
    answered = released.open().predict(customers(800))
    assert answered["score"].to_list() == pytest.approx(run["scores"][:, -1].tolist(), abs=1e-15)
    (first, *_) = released.open().ports.log.read()
    assert tuple(first.features) == released.open_manifest().features


# 10. Tests that pass when nothing is there


def test_a_project_opened_from_elsewhere_reads_its_environment_when_opened(
    project: Callable[..., SmallProject], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(rows=100, settings=SETTINGS.replace("customers.csv", "${EVERFIT_TEST_TABLE}"))
    for name in ("first.csv", "second.csv"):
        monkeypatch.setenv("EVERFIT_TEST_TABLE", name)
        assert made.open().project.data.source == name
