"""Many rows by column: the same answers to the byte, records and counts as the usual way, or left to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.serving_models import GOOD, MemoryLog, bundle, canary, one, without
from tests.unit.test_serving_app import Http, client, post
from tests.unit.test_serving_predictor import sample

from everfit.errors import StorageError
from everfit.project.sections.serving import Limits, Response
from everfit.records.prediction import Logged, PredictionBatch
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving import asking, together
from everfit.serving.answers import Form, Forms
from everfit.serving.many import Many
from everfit.serving.masking import row_mask
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor
from everfit.serving.sent import Sent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHADOW = RouteTable(9, (Arm("champion", 1, 1.0), Arm("shadow", 2, 0.0, mirrored=True)))


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th row of a request has the n-th id, whichever way it goes."""
    for module in (asking, together):
        monkeypatch.setattr(module, "new_ids", lambda now, rows: [f"id-{i}" for i in range(rows)])


@lru_cache
def columns_only(target: str = "Churn", family: str = "logistic") -> Model:
    return open_model(bundle(target, source="", family=family))


def serving(
    table: RouteTable | None = None, target: str = "Churn", log: MemoryLog | None = None, **given: Any
) -> tuple[Predictor, MemoryLog]:
    log = log or MemoryLog()
    predictor = Predictor(log, now=lambda: NOW, **given)
    predictor.swap(table or one(), {1: columns_only(target), 2: columns_only(target, "random_forest")})
    return predictor, log


def by_column(predictor: Predictor, rows: Sequence[Any], response: Response, limits: Limits | None = None) -> Any:
    """The answer's body, None where it is left to the usual way."""
    many = Many(predictor, limits or Limits(), Forms(response))
    found = many.scored(json.dumps({"rows": rows}).encode())
    if found is None:
        return None
    predictor.log.append(found.batches)
    found.settle()
    return many.body(found)


def by_row(predictor: Predictor, rows: Sequence[Any], response: Response) -> bytes:
    form = Form("customerID", response)
    return msgspec.json.encode({"predictions": [form.of(one) for one in predictor.predict(rows)]})


def logged(log: MemoryLog) -> list[Any]:
    return [replace(record, latency=0.0) for record in log.records]


def agree(rows: Sequence[Any], table: RouteTable | None = None, target: str = "Churn", **given: Any) -> bytes | None:
    """The answer by column, after it was held against the usual way's; None where it was left to that."""
    response = Response(**given)
    (first, columns), (second, usual) = serving(table, target), serving(table, target)
    found = by_column(first, rows, response)
    if found is None:
        return None
    assert found == by_row(second, rows, response)
    for predictor in (first, second):
        predictor.mirror.drain()
    assert logged(columns) == logged(usual)
    for version, name in ((1, "champion"), (2, "challenger")):
        labels = {"arm": name, "version": str(version), "status": "ok"}
        assert sample(first, "predictions_total", **labels) == sample(second, "predictions_total", **labels)
    return bytes(found)


def customers(rows: int) -> list[dict[str, object]]:
    return [
        {**GOOD, "customerID": f"c-{i}", "tenure": i, "charges": 29.85 + i, "plan": ["basic", "full"][i % 2]}
        for i in range(rows)
    ]


@pytest.mark.parametrize("target", ["Churn", "level", "risk"])
@pytest.mark.parametrize("table", [one(), canary(), SHADOW], ids=["one", "canary", "shadow"])
def test_every_task_and_every_release_answers_the_same_by_column(target: str, table: RouteTable) -> None:
    assert agree(customers(40), table, target)
    assert agree([without(row, "customerID") for row in customers(40)], table, target)


def test_each_entity_meets_the_arm_that_its_key_is_routed_to() -> None:
    rows = customers(60)
    body = agree(rows, canary())
    assert body is not None
    arms = [said["arm"] for said in json.loads(body)["predictions"]]
    assert arms == [route(canary(), str(row["customerID"])).name for row in rows]
    assert set(arms) == {"champion", "challenger"}


@pytest.mark.parametrize(
    "response",
    [
        {"score": "churn_probability"},
        {"labels": {"Yes": "High Risk", "No": "fine", "low": "L"}},
        {"features": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["Churn", "level"])
def test_the_project_decides_on_the_answer_s_form(response: dict[str, Any], target: str) -> None:
    assert agree(customers(5), target=target, **response)


POOLS: dict[str, list[object]] = {
    "customerID": ["c-1", 7, None, " ", True, 2.5],
    "tenure": [5, 5.5, 0, 120, None, "12", " ", True, 121, -1, 2**70, "x"],
    "charges": [29.85, 3, None, "29.85", "", 1001, -0.0],
    "plan": ["basic", "full", None, "gold", "", 3],
    "senior": ["Yes", "no", 1, 0.0, True, None, "y", "maybe", 2],
    "signup": ["2023-04-01", None, "2023-04-01T10:00:00", 7],
    "Churn": ["Yes", None, 3],
    "risk": [1.5, None],
    "other": [1],
}
USUAL = {name: values[:3] for name, values in POOLS.items()}
ABSENT = object()


@st.composite
def requests(draw: st.DrawFn) -> list[dict[str, object]]:
    """Rows that are mostly in order, each column with any of its values now and then, or absent."""
    rows = draw(st.integers(1, 6))
    table = {}
    for name, values in POOLS.items():
        is_there = draw(st.sampled_from([True] * 24 + [False])) if name in GOOD else draw(st.booleans())
        pool = draw(st.sampled_from([USUAL[name]] * 5 + [values]))
        if is_there and (name != "other" or draw(st.integers(0, 9)) == 0):
            odd = [ABSENT] if draw(st.integers(0, 24)) == 0 else []
            table[name] = draw(st.lists(st.sampled_from([*pool, *odd]), min_size=rows, max_size=rows))
    return [{name: values[i] for name, values in table.items() if values[i] is not ABSENT} for i in range(rows)]


@given(requests(), st.sampled_from([one(), canary()]), st.sampled_from(["Churn", "level"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_answered_as_by_row_or_left_to_it(
    rows: list[dict[str, object]], table: RouteTable, target: str
) -> None:
    agree(rows, table, target)


LEFT: dict[str, list[Any]] = {
    "an absent column": [GOOD, without(GOOD, "plan")],
    "an unknown column": [{**GOOD, "colour": "red"}],
    "an impossible value": [{**GOOD, "tenure": 121}],
    "an unreadable value": [{**GOOD, "senior": "maybe"}],
    "a value that is none": [{**GOOD, "plan": ["basic"]}],
    "rows of several kinds": [GOOD, without(GOOD, "customerID")],
    "no row": [],
    "no object": [GOOD, 7],
    "an entity alone": [{"customerID": "c-7"}],
}


@pytest.mark.parametrize("rows", LEFT.values(), ids=LEFT)
def test_what_is_out_of_the_ordinary_is_left_to_the_usual_way(rows: list[Any]) -> None:
    predictor, log = serving()
    assert by_column(predictor, rows, Response()) is None
    assert log.records == []
    assert sample(predictor, "predictions_total", arm="none", version="none", status="rejected") is None


def test_limits_and_personal_columns_are_left_to_the_usual_way() -> None:
    masked, _ = serving(mask=row_mask({"customerID": "redact"}, None))
    assert by_column(masked, customers(2), Response()) is None
    assert by_column(masked, [without(row, "customerID") for row in customers(2)], Response())
    assert by_column(serving()[0], customers(3), Response(), Limits(rows=2)) is None
    assert by_column(serving()[0], customers(3), Response(), Limits(depth=2)) is None
    assert by_column(Predictor(MemoryLog()), customers(3), Response()) is None


def test_predictions_are_those_of_the_usual_way() -> None:
    rows = customers(30)
    for target in ("Churn", "level", "risk"):
        (first, _), (second, _) = serving(canary(), target), serving(canary(), target)
        sent = Sent.of(rows)
        assert sent is not None
        found = first.together(sent)
        assert found is not None
        assert found.predictions() == second.predict(rows)
    assert Sent.of([*rows, without(GOOD, "plan")]) is None
    assert Sent.of([{"customerID": "c-7"}]) is None


def test_an_arm_that_fails_is_left_to_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, log = serving(canary())

    def fails(self: Model, sent: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Model, "columns", fails)
    assert by_column(predictor, customers(20), Response()) is None
    assert log.records == []


class Batches(MemoryLog):
    """A log that counts what came as a batch, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[PredictionBatch] = []
        self.full = False

    def append(self, records: Sequence[Logged]) -> None:
        if self.full:
            raise StorageError("the disk is full")
        self.batches += [one for one in records if isinstance(one, PredictionBatch)]
        super().append(records)


@pytest.fixture
def server() -> tuple[Http, Batches]:
    log = Batches()
    return client(serving(log=log)[0]), log


def test_rows_over_http_are_one_line_of_the_log(server: tuple[Http, Batches]) -> None:
    http, log = server
    answer = post(http, {"rows": customers(3)})
    assert [said["id"] for said in answer.json()["predictions"]] == [record.id for record in log.records]
    assert [list(batch.ids) for batch in log.batches] == [["id-0", "id-1", "id-2"]]


def test_a_thread_answers_very_many_rows_in_the_same_way(server: tuple[Http, Batches]) -> None:
    http, log = server
    answer = post(http, {"rows": [{**row, "tenure": i % 100} for i, row in enumerate(customers(900))]})
    assert len(answer.json()["predictions"]) == 900
    assert [len(batch.ids) for batch in log.batches] == [900]


def test_other_protocols_are_answered_by_column_too(server: tuple[Http, Batches]) -> None:
    http, log = server
    rows = customers(3)
    said = post(http, {"dataframe_records": rows}, "/invocations").json()["predictions"]
    assert [one["id"] for one in said] == ["id-0", "id-1", "id-2"]
    columns = [name for name in rows[0] if name != "customerID"]
    inputs = [
        {"name": name, "shape": [3], "datatype": "BYTES", "data": [row[name] for row in rows]} for name in columns
    ]
    answer = post(http, {"inputs": inputs}, "/v2/models/churn/infer").json()
    scores = next(output["data"] for output in answer["outputs"] if output["name"] == "score")
    assert scores == [one["score"] for one in said] == [score for batch in log.batches[:1] for score in batch.scores]
    assert [len(batch.ids) for batch in log.batches] == [3, 3]


def test_rows_that_cannot_be_logged_are_not_answered(server: tuple[Http, Batches]) -> None:
    http, log = server
    log.full = True
    assert post(http, {"rows": customers(3)}).status_code == 503
    assert 'predictions_total{arm="none",status="unlogged",version="none"} 3.0' in http.get("/metrics").text


def test_a_wrong_row_among_many_is_named_over_http(server: tuple[Http, Batches]) -> None:
    http, log = server
    answer = post(http, {"rows": [*customers(2), {**GOOD, "tenure": 121}]})
    assert (answer.status_code, answer.json()["where"]) == (422, "rows[2].tenure")
    assert log.records == []
