"""The predictor: everything answered is logged first, arms are sticky, and a canary never hurts a caller."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.serving_models import GOOD, MemoryLog, MemoryStore, bundle, canary, model, one, scoring, table, without

from everfit.data.schema import arrays, conform
from everfit.errors import NotReady, RequestError, StepFailed, StorageError, UnknownEntity
from everfit.records.prediction import Logged
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving.identity import new_id
from everfit.serving.masking import row_mask
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def broken(error: Exception) -> Model:
    def score(matrix: Any) -> Any:
        raise error

    return scoring(model(), score)


def constant(share: float) -> Model:
    return scoring(model(), lambda matrix: np.tile([1 - share, share], (len(matrix), 1)))


def serving(
    first: Model | None = None, second: Model | None = None, share: float = 0.5, **settings: Any
) -> tuple[Predictor, MemoryLog]:
    log = MemoryLog()
    predictor = Predictor(log, now=lambda: NOW, **settings)
    models = {1: first or model()} | ({2: second} if second else {})
    predictor.swap(canary(share) if second else one(), models)
    return predictor, log


def sample(predictor: Predictor, name: str, **labels: str) -> float | None:
    families = text_string_to_metric_families(predictor.metrics.text().decode())
    found = [s.value for family in families for s in family.samples if (s.name, s.labels) == (name, labels)]
    return found[0] if found else None


def customers(count: int) -> list[dict[str, object]]:
    return [{**GOOD, "customerID": f"c-{i}"} for i in range(count)]


def test_rows_of_a_request_score_as_the_table_does() -> None:
    opened, frame = model(), table(40)
    rows = frame.select(opened.manifest.schema.names).drop("Churn").to_dicts()
    schema = opened.manifest.schema
    columns = arrays(conform(frame, schema), schema, opened.parser.required)
    predictions = serving()[0].predict(rows)
    assert [p.score for p in predictions] == opened.scores(columns)[:, 1].tolist()


def test_the_positive_class_is_predicted_from_the_threshold_on() -> None:
    classes = model().manifest.classes
    said = [serving(constant(share))[0].predict([GOOD])[0].prediction for share in (0.49, 0.5, 0.51)]
    assert said == [classes[0], classes[1], classes[1]]


def test_several_classes_give_the_most_probable_one_and_all_probabilities() -> None:
    predictor, log = serving(model("level"))
    (prediction,) = predictor.predict([GOOD])
    shares = prediction.probabilities
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    assert prediction.score == max(shares.values()) == shares[str(prediction.prediction)]
    assert log.records[0].probabilities == shares


def test_a_regression_answers_its_value_twice() -> None:
    (prediction,) = serving(model("risk"))[0].predict([GOOD])
    assert prediction.prediction == prediction.score
    assert prediction.probabilities is None


def test_each_answer_is_one_record_with_the_same_id() -> None:
    predictor, log = serving()
    predictions = predictor.predict(customers(3))
    assert [r.id for r in log.records] == [p.id for p in predictions]
    first = log.records[0]
    assert (first.entity, first.arm, first.version, first.time, first.error) == ("c-0", "champion", 1, NOW, None)
    assert first.input == {**GOOD, "customerID": "c-0"}
    assert first.features["charges"] == 29.85
    assert (first.score, first.prediction) == (predictions[0].score, predictions[0].prediction)
    assert first.latency > 0


def test_a_missing_feature_is_logged_as_null() -> None:
    predictor, log = serving()
    predictor.predict([{**GOOD, "tenure": None}])
    assert log.records[0].features["tenure"] is None
    assert log.records[0].features["charge_per_month"] is None


def test_nothing_is_answered_when_the_log_cannot_be_written() -> None:
    class Full(MemoryLog):
        def append(self, records: Sequence[Logged]) -> None:
            raise StorageError("no space left")

    predictor = Predictor(Full())
    predictor.swap(one(), {1: model()})
    with pytest.raises(StorageError):
        predictor.predict([GOOD])
    assert sample(predictor, "predictions_total", arm="none", status="unlogged", version="none") == 1


def test_without_a_release_nothing_is_ready() -> None:
    with pytest.raises(NotReady):
        Predictor(MemoryLog()).predict([GOOD])


def test_a_refused_row_refuses_the_request_and_leaves_no_record() -> None:
    predictor, log = serving(None, model())
    with pytest.raises(RequestError, match=r"tenure: -5 is impossible"):
        predictor.predict([*customers(20), {**GOOD, "tenure": -5}])
    assert log.records == []
    assert sample(predictor, "predictions_total", arm="none", status="rejected", version="none") == 21


def test_an_entity_alone_is_answered_from_the_store_as_its_row_would_be() -> None:
    predictor, log = serving(online=MemoryStore({"c-7": GOOD}))
    by_key, by_row = predictor.predict([{"customerID": "c-7"}, GOOD])
    assert by_key.score == by_row.score
    assert log.records[0].input == GOOD


def test_an_unknown_entity_is_told_apart_from_a_wrong_row() -> None:
    predictor, _ = serving(online=MemoryStore({}))
    with pytest.raises(UnknownEntity, match="'nobody'"):
        predictor.predict([{"customerID": "nobody"}])


def test_an_entity_alone_needs_a_store() -> None:
    with pytest.raises(RequestError, match="keeps no rows"):
        serving()[0].predict([{"customerID": "c-7"}])


def test_a_row_without_an_entity_is_answered_all_the_same() -> None:
    predictor, log = serving(None, model())
    (prediction,) = predictor.predict([without(GOOD, "customerID")])
    assert prediction.entity is None
    assert log.records[0].entity is None


def test_each_entity_meets_the_arm_that_its_key_is_routed_to_and_answers_keep_the_order() -> None:
    predictor, log = serving(constant(0.1), constant(0.9))
    rows = customers(60)
    predictions = predictor.predict(rows)
    expected = [route(canary(), str(row["customerID"])) for row in rows]
    assert [p.arm for p in predictions] == [arm.name for arm in expected]
    assert [p.score for p in predictions] == [{1: 0.1, 2: 0.9}[arm.version] for arm in expected]
    assert {p.arm for p in predictions} == {"champion", "challenger"}
    assert sorted(r.id for r in log.records) == sorted(p.id for p in predictions)


@pytest.mark.parametrize("error", [ValueError("boom"), RequestError("an unknown column"), StepFailed("a feature")])
def test_a_challenger_that_fails_is_recorded_and_the_champion_answers(error: Exception) -> None:
    predictor, log = serving(constant(0.1), broken(error))
    predictions = predictor.predict(customers(30))
    assert {(p.arm, p.score) for p in predictions} == {("champion", 0.1)}
    failed = [r for r in log.records if r.error]
    answered = [r for r in log.records if not r.error]
    assert {r.id for r in answered} == {p.id for p in predictions}
    assert {r.entity for r in failed} == {
        row["customerID"] for row in customers(30) if route(canary(), str(row["customerID"])).version == 2
    }
    assert all((r.arm, r.version, r.score, r.prediction) == ("challenger", 2, None, None) for r in failed)
    assert str(error) in str(failed[0].error)
    assert len({r.id for r in log.records}) == len(log.records)


def test_a_champion_that_fails_is_recorded_and_told_without_its_inside() -> None:
    predictor, log = serving(broken(ValueError("secret detail")), constant(0.9))
    with pytest.raises(StepFailed) as caught:
        predictor.predict(customers(30))
    assert "secret" not in str(caught.value)
    assert {(r.arm, r.score) for r in log.records} == {("champion", None)}
    assert all("secret detail" in str(r.error) for r in log.records)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_finite_number_is_never_answered(score: float) -> None:
    with pytest.raises(StepFailed, match="no finite number"):
        serving(constant(score))[0].predict([GOOD])


def test_personal_values_reach_neither_model_nor_log_nor_answer() -> None:
    mask = row_mask({"customerID": "hash", "mail": "drop"}, "secret")
    store = MemoryStore({str(mask({"customerID": "c-7"})["customerID"]): GOOD})
    predictor, log = serving(mask=mask, online=store)
    predictions = predictor.predict([{**GOOD, "mail": "a@b.c"}, {"customerID": "c-7"}])
    assert [p.entity for p in predictions] == ["c-7", "c-7"]
    assert not any(text in str(log.records[0]) for text in ("c-7", "a@b.c"))
    assert log.records[0].entity == log.records[1].entity is not None


def test_a_table_that_names_a_version_without_model_changes_nothing() -> None:
    predictor, _ = serving()
    with pytest.raises(ValueError, match=r"\[2\]"):
        predictor.swap(canary(), {1: model()})
    assert predictor.snapshot.table == one()


def test_releases_under_load_fail_no_request_and_no_request_sees_two_of_them() -> None:
    log, done = MemoryLog(), Event()
    predictor = Predictor(log)
    models = {version: constant(version / 100) for version in range(1, 30)}
    predictor.swap(one(1), models)

    def ask(_: int) -> int:
        answered = 0
        while not done.is_set() or answered < 3:
            predictions = predictor.predict(customers(4))
            assert all(p.score == p.version / 100 for p in predictions)
            assert len({p.version for p in predictions}) == 1
            answered += len(predictions)
        return answered

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, i) for i in range(4)]
        for version in range(2, 30):
            predictor.swap(one(version), models)
        done.set()
        answered = sum(each.result() for each in asked)
    assert len(log.records) == answered


def test_metrics_count_rows_by_arm_and_follow_the_release() -> None:
    predictor, _ = serving(constant(0.1), broken(ValueError("boom")), share=0.2)
    predictor.swap(canary(0.2), {1: constant(0.1), 2: broken(ValueError())}, {1: NOW - timedelta(days=1)})
    rows = customers(50)
    predictor.predict(rows)
    hit = sum(route(canary(0.2), str(row["customerID"])).version == 2 for row in rows)
    assert sample(predictor, "predictions_total", arm="challenger", status="error", version="2") == hit > 0
    assert sample(predictor, "predictions_total", arm="champion", status="ok", version="1") == 50
    assert sample(predictor, "prediction_latency_seconds_count", arm="champion", version="1") == 1
    assert sample(predictor, "model_version", arm="challenger") == 2
    assert sample(predictor, "model_traffic_share", arm="challenger") == 0.2
    assert sample(predictor, "model_created_timestamp_seconds", arm="champion") == NOW.timestamp() - 86400
    assert sample(predictor, "release_number") == 9
    predictor.swap(one(5), {5: model()})
    assert sample(predictor, "model_version", arm="challenger") is None


def test_ids_sort_by_time_and_are_version_7() -> None:
    first, second = new_id(NOW), new_id(NOW + timedelta(milliseconds=1))
    assert first < second
    assert {uuid.UUID(each).version for each in (first, second)} == {7}
    assert uuid.UUID(first).variant == uuid.RFC_4122


def test_a_bundle_whose_example_fails_is_not_opened() -> None:
    failing = "def bad(tenure):\n    if len(tenure) == 1:\n        raise ValueError('one row')\n    return tenure\n"
    with pytest.raises(StepFailed, match="one row"):
        open_model(bundle(source=failing))


def test_an_empty_table_answers_nothing_and_is_no_error() -> None:
    predictor, _ = serving()
    predictor.swap(RouteTable(3, ()), {})
    assert predictor.snapshot.table.arms == ()


def test_arms_are_known_by_their_table_and_not_by_their_name() -> None:
    predictor = Predictor(MemoryLog())
    predictor.swap(RouteTable(1, (Arm("blue", 4, 1.0),)), {4: replace(model())})
    assert predictor.predict([GOOD])[0].arm == "blue"
