"""Several models behind one address: each under its own name, with its own keys, limits, log and metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.serving_models import GOOD, MemoryLog, model, one
from tests.unit.test_serving_app import Http, post, refused
from tests.unit.test_serving_server import running
from tritonclient import http as triton

from everfit.errors import ProjectError
from everfit.project.sections.serving import Limits
from everfit.serving.app import create_app
from everfit.serving.fleet import Fleet, check_names
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor


def named(target: str, name: str) -> Model:
    made = model(target)
    return replace(made, manifest=replace(made.manifest, model=name))


def fleet(*released: str, **given: Any) -> tuple[Fleet, dict[str, Predictor]]:
    """Models `leaves` and `costs`, those named with a version that answers."""
    predictors = {name: Predictor(MemoryLog()) for name in ("leaves", "costs")}
    for name, target in (("leaves", "Churn"), ("costs", "risk")):
        if name in released:
            predictors[name].swap(one(3), {3: named(target, name)})
    apps = {name: create_app(made, name=name, **given) for name, made in predictors.items()}
    return Fleet(apps, lambda: all(made.snapshot.table.arms for made in predictors.values())), predictors


@pytest.fixture
def both() -> tuple[Http, dict[str, Predictor]]:
    made, predictors = fleet("leaves", "costs")
    return Http(made), predictors


def test_each_model_answers_under_its_name_into_its_own_log(both: tuple[Http, dict[str, Predictor]]) -> None:
    server, predictors = both
    leaves, costs = (post(server, GOOD, f"/models/{name}/predict").json() for name in ("leaves", "costs"))
    assert leaves["prediction"] in ("Yes", "No")
    assert isinstance(costs["prediction"], float)
    for name, answer in (("leaves", leaves), ("costs", costs)):
        assert [record.id for record in predictors[name].log.read()] == [answer["id"]]
        assert 'predictions_total{arm="champion",status="ok",version="3"} 1.0' in metrics(server, name)


def metrics(server: Http, name: str) -> str:
    return server.get(f"/models/{name}/metrics").text


def test_every_other_route_is_there_too(both: tuple[Http, dict[str, Predictor]]) -> None:
    server, _ = both
    assert server.get("/models/costs/version").json()["project"] == "costs"
    assert "leaves" in server.get("/models/leaves/docs").text
    assert post(server, {"instances": [GOOD]}, "/models/leaves/invocations").status_code == 200
    assert server.get("/v2/models/costs").json()["name"] == "costs"


@pytest.mark.parametrize("path", ["/predict", "/models/other/predict", "/v2/models/other/infer", "/models/leaves", "/"])
def test_a_path_without_a_models_name_is_not_there(both: tuple[Http, dict[str, Predictor]], path: str) -> None:
    refused(post(both[0], GOOD, path), 404)


def test_errors_name_the_path_of_the_model(both: tuple[Http, dict[str, Predictor]]) -> None:
    refused(post(both[0], {**GOOD, "tenure": -5}, "/models/leaves/predict"), 422, "tenure")
    refused(both[0].get("/models/leaves/nowhere"), 404)


def test_the_server_is_ready_when_every_model_is() -> None:
    for released, status in (((), 503), (("leaves",), 503), (("leaves", "costs"), 200)):
        server = Http(fleet(*released)[0])
        assert {server.get(path).status_code for path in ("/ready", "/ping", "/v2/health/ready")} == {status}
        assert {server.get(path).status_code for path in ("/health", "/v2", "/v2/health/live")} == {200}


def test_limits_hold_below_a_name() -> None:
    server = Http(fleet("leaves", "costs", limits=Limits(body=20))[0])
    refused(post(server, GOOD, "/models/leaves/predict"), 413)


def test_another_host_is_refused_below_a_name(both: tuple[Http, dict[str, Predictor]]) -> None:
    refused(post(both[0], GOOD, "/models/leaves/predict", host="evil.example"), 421)


def test_two_projects_of_one_name_are_refused() -> None:
    check_names(["a", "b"])
    with pytest.raises(ProjectError, match="'a'"):
        check_names(["a", "b", "a"])


def test_triton_finds_both_over_a_socket() -> None:
    made, _ = fleet("leaves", "costs")
    with running(made) as (port, _, _):
        asking = triton.InferenceServerClient(f"127.0.0.1:{port}")
        assert asking.is_server_ready()
        assert asking.is_model_ready("leaves")
        assert asking.is_model_ready("costs")
        assert not asking.is_model_ready("other")
        asking.close()
