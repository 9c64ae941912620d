"""The HTTP around the predictor: what is accepted, what is refused and how, and that nothing ever ends in a 5xx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp
from tests.unit.serving_models import GOOD, MemoryLog, MemoryStore, model, one, scoring, without

from everfit.errors import ProjectError, StorageError
from everfit.project.sections.serving import Limits, Response
from everfit.records.prediction import Label
from everfit.records.release import RouteTable
from everfit.serving.app import create_app
from everfit.serving.predictor import Predictor

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Http:
    """Asks an application over its ASGI interface."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.send("GET", path, **given)

    def send(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://127.0.0.1") as asking:
                return await asking.request(method, path, **given)

        return asyncio.run(answer())


@dataclass
class MemoryLabels:
    """A LabelStore that keeps what it is given."""

    kept: list[Label] = field(default_factory=list)

    def put(self, labels: Iterable[Label]) -> int:
        new = [label for label in labels if label not in self.kept]
        self.kept += new
        return len(new)

    def frame(self, since: datetime | None = None) -> pl.DataFrame:
        raise NotImplementedError

    def count(self) -> int:
        return len({label.prediction_id for label in self.kept})


def predictor(target: str = "Churn", **given: Any) -> Predictor:
    made = Predictor(MemoryLog(), online=MemoryStore({"c-7": GOOD}), **given)
    made.swap(one(3), {3: model(target)})
    return made


def client(made: Predictor | None = None, **given: Any) -> Http:
    return Http(create_app(made or predictor(), **given))


@pytest.fixture(scope="module")
def server() -> Http:
    return client(labels=MemoryLabels())


def post(server: Http, body: object, path: str = "/predict", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.send("POST", path, content=content, headers={"content-type": "application/json", **headers})


def refused(answer: Any, status: int, *parts: str) -> None:
    said = answer.json()
    assert answer.status_code == status, said
    assert said.keys() == {"error", "fix", "where"}
    assert all(part in said["error"] for part in parts), said


def test_one_row_gives_one_answer(server: Http) -> None:
    answer = post(server, GOOD).json()
    assert list(answer) == ["id", "customerID", "prediction", "score", "version", "arm"]
    assert (answer["customerID"], answer["version"], answer["arm"]) == ("c-7", 3, "champion")
    assert answer["prediction"] in ("Yes", "No")


def test_several_rows_give_as_many_answers_in_their_order(server: Http) -> None:
    rows = [{**GOOD, "customerID": f"c-{i}"} for i in range(5)]
    answers = post(server, {"rows": rows}).json()["predictions"]
    assert [a["customerID"] for a in answers] == [f"c-{i}" for i in range(5)]


def test_an_entity_alone_is_looked_up(server: Http) -> None:
    assert post(server, {"customerID": "c-7"}).json()["score"] == post(server, GOOD).json()["score"]
    refused(post(server, {"customerID": "nobody"}), 404, "nobody")


def test_the_answer_takes_the_shape_that_the_project_wants() -> None:
    labels = {"Yes": "High Risk", "No": "Low Risk"}
    shaped = client(response=Response(score="churn_probability", labels=labels, features=True))
    answer = post(shaped, GOOD).json()
    assert list(answer) == ["id", "customerID", "prediction", "churn_probability", "version", "arm", "features"]
    assert answer["prediction"] in labels.values()
    assert answer["features"]["charges"] == 29.85


def test_a_score_cannot_take_the_name_of_another_field() -> None:
    with pytest.raises(ProjectError, match="'version' is already a field"):
        create_app(predictor(), response=Response(score="version"))


@pytest.mark.parametrize("target", ["Churn", "level", "risk"])
def test_answers_are_what_the_description_says(target: str) -> None:
    opened = client(predictor(target), response=Response(features=True))
    operation = opened.get("/openapi.json").json()["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    described = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"][0]
    for request in (example, {"customerID": "c-7"}):
        answer = post(opened, request).json()
        assert set(described["required"]) <= answer.keys() <= described["properties"].keys()


def test_the_description_lists_the_columns_without_the_target(server: Http) -> None:
    operation = server.get("/openapi.json").json()["paths"]["/predict"]["post"]
    row = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]["anyOf"][0]
    assert row["properties"].keys() == GOOD.keys()
    assert row["required"] == list(model().parser.required)


def test_several_classes_show_all_probabilities() -> None:
    answer = post(client(predictor("level")), GOOD).json()
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({**GOOD, "tenure": -5}, ["tenure: -5 is impossible", "0 to 120"]),
        ({**GOOD, "charges": 99999}, ["charges: 99999 is impossible", "1000 and below"]),
        ({**GOOD, "tenure": True}, ["tenure: True is not a number"]),
        ({**GOOD, "tenur": 5}, ["tenur: unknown column"]),
        (without(GOOD, "tenure", "plan"), ["tenure: is absent", "plan: is absent"]),
        ({**GOOD, "customerID": ["a"]}, ["customerID", "JSON list"]),
        ({}, ["is absent"]),
        ([], ["one JSON object"]),
        (3, ["one JSON object"]),
        ({"rows": []}, ["at least one"]),
        ({"rows": [1]}, ["one JSON object"]),
        ({"rows": GOOD}, ["rows: unknown column"]),
        (b"", ["not JSON"]),
        (b"{'a': 1}", ["not JSON"]),
        (b'{"tenure": NaN}', ["not JSON"]),
        (b'{"tenure": Infinity}', ["not JSON"]),
        (b'{"tenure": 1e999}', ["not a finite number"]),
        (b"\xff\xfe", ["not JSON"]),
        (b'{"plan": "\\ud800"}', ["not JSON"]),
    ],
)
def test_a_wrong_body_is_refused_with_its_reasons(server: Http, body: object, parts: list[str]) -> None:
    refused(post(server, body), 422, *parts)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(server: Http, kind: str) -> None:
    refused(post(server, GOOD, **{"content-type": kind}), 415, "application/json")


def test_a_compressed_body_is_refused_before_it_is_opened(server: Http) -> None:
    refused(post(server, GOOD, **{"content-encoding": "gzip"}), 415)


def test_limits_hold_for_bytes_rows_and_depth() -> None:
    small = client(limits=Limits(body=2000, rows=3, depth=4))
    refused(post(small, {"plan": "x" * 2000}), 413, "2000 bytes")
    refused(post(small, {"rows": [{"a": 1}] * 4}), 413, "4 rows", "at most 3")
    refused(post(small, {"a": [[[[1]]]]}), 413, "deeper than 4")
    assert post(small, {"rows": [GOOD] * 3}).status_code == 200


def test_the_limit_holds_for_a_body_that_does_not_say_its_length() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"[" * 1000

    small = client(limits=Limits(body=5000))
    refused(small.send("POST", "/predict", content=endless(), headers={"content-type": "application/json"}), 413)


def test_a_deeply_nested_body_is_refused(server: Http) -> None:
    assert post(server, b"[" * 100_000).status_code == 422


def test_what_is_not_there_is_said_in_the_same_form(server: Http) -> None:
    refused(server.get("/admin"), 404)
    refused(server.get("/predict"), 405)
    refused(server.get("/redoc"), 404)


def test_a_server_without_a_release_is_alive_and_not_ready() -> None:
    empty = client(Predictor(MemoryLog()))
    assert empty.get("/health").json() == {"status": "alive"}
    for answer in (empty.get("/ready"), post(empty, GOOD)):
        refused(answer, 503, "no model is released")
    assert "no model is released" in empty.get("/docs").text
    assert empty.get("/openapi.json").status_code == 200


def test_ready_and_version_say_who_answers(server: Http) -> None:
    assert server.get("/ready").json() == {"status": "ready", "model": "churn", "version": 3}
    said = server.get("/version").json()
    (arm,) = said["arms"]
    assert arm == {
        "arm": "champion", "version": 3, "deployment": "churn-v3", "share": 1.0, "family": "logistic",
    }  # fmt: skip


def test_a_full_disk_is_a_503_and_an_unexpected_error_a_500_without_its_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(MemoryLog):
        error: Exception = StorageError("the prediction log cannot be written")

        def append(self, records: object) -> None:
            raise self.error

    made = Predictor(Full())
    made.swap(one(), {1: model()})
    refused(post(client(made), GOOD), 503, "cannot be written")
    Full.error = RuntimeError("secret detail")
    answer = post(client(made), GOOD)
    refused(answer, 500, "unexpected error")
    assert "secret" not in answer.text
    assert answer.json()["error"].split()[-1] in caplog.text


def test_a_model_that_raises_is_a_500_that_names_the_model() -> None:
    def score(matrix: Any) -> Any:
        raise ValueError("secret detail")

    made = Predictor(MemoryLog())
    made.swap(one(3), {3: scoring(model(), score)})
    answer = post(client(made), GOOD)
    refused(answer, 500, "could not score")
    assert answer.json()["where"] == "churn version 3"
    assert "secret" not in answer.text


def test_another_host_is_refused_so_that_no_web_page_reaches_a_local_server(server: Http) -> None:
    refused(server.get("/health", headers={"host": "evil.example"}), 421)
    assert server.get("/health", headers={"host": "localhost:8000"}).status_code == 200
    assert server.get("/health", headers={"host": "[::1]:8000"}).status_code == 200
    assert client(hosts=None).get("/health", headers={"host": "api.example"}).status_code == 200


def test_no_other_origin_is_let_in(server: Http) -> None:
    answer = post(server, GOOD, origin="https://evil.example")
    preflight = server.send("OPTIONS", "/predict", headers={"origin": "https://evil.example"})
    assert preflight.status_code == 405
    assert not any(name.startswith("access-control") for name in {*answer.headers, *preflight.headers})


def test_the_docs_page_is_whole_without_any_other_host(server: Http) -> None:
    answer = server.get("/docs")
    assert "//" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "&quot;tenure&quot;: 12" in answer.text


def test_the_docs_page_escapes_what_the_model_says() -> None:
    evil = model()
    evil = replace(evil, manifest=replace(evil.manifest, example={**GOOD, "plan": "</textarea><script>x"}))
    made = Predictor(MemoryLog())
    made.swap(one(), {1: evil})
    assert "<script>x" not in client(made, name="<script>x").get("/docs").text


def test_metrics_are_in_the_text_format(server: Http) -> None:
    post(server, GOOD)
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'predictions_total{arm="champion",status="ok",version="3"}' in answer.text
    assert 'prediction_latency_seconds_bucket{arm="champion",le="0.001",version="3"}' in answer.text


def test_answers_that_are_errors_are_counted_by_status() -> None:
    opened = client()
    post(opened, {})
    post(opened, GOOD, **{"content-type": "text/plain"})
    opened.get("/nowhere")
    text = opened.get("/metrics").text
    assert [f'request_errors_total{{status="{status}"}} 1.0' in text for status in (404, 415, 422)] == [True] * 3


def test_a_label_is_kept_once_and_a_correction_beside_it() -> None:
    labels = MemoryLabels()
    opened = client(labels=labels, now=lambda: NOW)
    identity = post(opened, GOOD).json()["id"]
    first = {"prediction_id": identity, "value": "Yes"}
    assert post(opened, first, "/feedback").json() == {"received": 1, "new": 1}
    assert post(opened, {"labels": [first, {**first, "value": "No"}]}, "/feedback").json() == {"received": 2, "new": 1}
    assert labels.kept == [Label(identity, "Yes", NOW), Label(identity, "No", NOW)]


@pytest.mark.parametrize("value", ["Yes", "yes", True, 1, "High Risk"])
def test_a_label_may_be_written_as_the_class_is_known(value: object) -> None:
    labels = MemoryLabels()
    opened = client(labels=labels, response=Response(labels={"Yes": "High Risk", "No": "Low Risk"}))
    identity = post(opened, GOOD).json()["id"]
    assert post(opened, {"prediction_id": identity, "value": value}, "/feedback").status_code == 200
    assert [label.value for label in labels.kept] == ["Yes"]


IDENTITY = "01a1a0d9-f100-7000-8000-000000000000"


@pytest.mark.parametrize("value", ["Maybe", None, [], 7, "", 1e400, 2**80])
def test_a_label_that_is_no_class_is_refused(server: Http, value: object) -> None:
    body = json.dumps({"prediction_id": IDENTITY, "value": value}).replace("Infinity", "1e400").encode()
    refused(post(server, body, "/feedback"), 422, "labels[0].value")


@pytest.mark.parametrize("body", [{}, {"prediction_id": IDENTITY}, {"prediction_id": "x", "value": "Yes"}, [1]])
def test_what_is_no_label_is_refused(server: Http, body: object) -> None:
    assert post(server, body, "/feedback").status_code == 422


@pytest.mark.parametrize(("value", "status"), [(3, 200), ("2.5", 200), (True, 422), ("much", 422)])
def test_a_label_for_a_regression_is_a_number(value: object, status: int) -> None:
    labels = MemoryLabels()
    opened = client(predictor("risk"), labels=labels)
    assert post(opened, {"prediction_id": IDENTITY, "value": value}, "/feedback").status_code == status
    assert [label.value for label in labels.kept] == ([float(str(value))] if status == 200 else [])


def test_a_server_without_a_label_store_says_so() -> None:
    refused(post(client(), {"prediction_id": IDENTITY, "value": "Yes"}, "/feedback"), 501)


def test_an_empty_table_after_a_release_is_not_ready_again() -> None:
    made = predictor()
    opened = client(made)
    assert opened.get("/ready").status_code == 200
    made.swap(RouteTable(9, ()), {})
    assert opened.get("/ready").status_code == 503


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
names = st.sampled_from([*GOOD, "Churn", "rows", "unknown"])
rows = st.dictionaries(names, scalars | values, max_size=8).map(lambda changed: {**GOOD, **changed}) | values


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows | st.fixed_dictionaries({"rows": st.lists(rows, max_size=3)}))
def test_no_json_value_ends_in_a_server_error(server: Http, body: object) -> None:
    answer = post(server, json.dumps(body).encode())
    assert answer.status_code in (200, 404, 413, 422), answer.text
    if answer.status_code == 200:
        said = answer.json()
        assert all(np.isfinite(each["score"]) for each in said.get("predictions", [said]))


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_end_in_a_server_error(server: Http, body: bytes) -> None:
    assert post(server, body).status_code in (413, 422)


def test_the_application_is_a_fastapi_that_others_can_mount_on() -> None:
    assert isinstance(create_app(predictor()), FastAPI)
