"""Clients of other servers, as they are installed, on this one over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from tests.services import kserve_client
from tests.unit.serving_models import GOOD, MemoryLog, model, one, table
from tests.unit.test_serving_app import Http, client, post, predictor, refused
from tests.unit.test_serving_server import running
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from everfit.serving.app import create_app
from everfit.serving.predictor import Predictor

COLUMNS = ["tenure", "charges", "plan", "senior", "signup"]
ROWS = table(12).select("customerID", *COLUMNS).to_dicts()
ALL = {name: [row[name] for row in ROWS] for name in COLUMNS}
KINDS = {name: "FP64" if name == "tenure" else "BYTES" for name in COLUMNS}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    made = Predictor(MemoryLog())
    made.swap(one(3), {3: model()})
    with running(create_app(made)) as (bound, _, _):
        yield bound


@pytest.fixture
def asking(port: int) -> Iterator[triton.InferenceServerClient]:
    opened = triton.InferenceServerClient(f"127.0.0.1:{port}")
    yield opened
    opened.close()


def scores() -> list[float]:
    """What the model says of the rows, in process."""
    return [answer.score for answer in model().answer(ROWS)]


def inputs(binary: bool) -> list[Any]:
    made = []
    for name in COLUMNS:
        values = [row[name] for row in ROWS]
        is_number = name == "tenure"
        array = np.array(values, dtype=np.float64 if is_number else np.object_)
        made.append(triton.InferInput(name, [len(ROWS)], "FP64" if is_number else "BYTES"))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def test_triton_finds_the_server_and_its_model(asking: triton.InferenceServerClient) -> None:
    assert asking.is_server_live()
    assert asking.is_server_ready()
    assert asking.is_model_ready("churn")
    assert asking.is_model_ready("churn", "3")
    assert not asking.is_model_ready("other")
    assert asking.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    said = asking.get_model_metadata("churn")
    assert [given["name"] for given in said["inputs"]] == COLUMNS
    assert (said["versions"], [given["name"] for given in said["outputs"]]) == (["3"], ["id", "prediction", "score"])


@pytest.mark.parametrize("binary", [True, False])
def test_triton_infers_in_both_forms(asking: triton.InferenceServerClient, binary: bool) -> None:
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("score", "prediction")]
    answer = asking.infer("churn", inputs(binary), outputs=outputs, request_id="r-1")
    assert answer.as_numpy("score").tolist() == scores()
    assert answer.as_numpy("prediction").shape == (len(ROWS),)
    assert answer.get_response()["id"] == "r-1"


def test_triton_gets_every_output_unless_it_asks_for_some(asking: triton.InferenceServerClient) -> None:
    answer = asking.infer("churn", inputs(binary=True), model_version="3")
    assert answer.as_numpy("score").tolist() == scores()
    assert len(set(answer.as_numpy("id").tolist())) == len(ROWS)


def test_triton_is_told_what_is_wrong(asking: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="tenure: is absent"):
        asking.infer("churn", inputs(binary=True)[1:])
    with pytest.raises(InferenceServerException, match="there is no output"):
        asking.infer("churn", inputs(binary=True), outputs=[triton.InferRequestedOutput("nothing")])
    with pytest.raises(InferenceServerException, match="no model 'other'"):
        asking.infer("other", inputs(binary=True))


def test_mlflow_scores_a_frame(port: int) -> None:
    scorer: Any = ScoringServerClient("127.0.0.1", port)  # type: ignore[no-untyped-call]
    scorer.wait_server_ready(timeout=20)
    found = scorer.invoke(pd.DataFrame(ROWS)).get_predictions()
    assert found["score"].tolist() == pytest.approx(scores())
    assert set(found["prediction"]) <= {"Yes", "No"}


KSERVE = """
import asyncio, json, sys
from kserve import InferInput, InferRequest, InferenceRESTClient, RESTConfig

async def main(port, columns):
    client, url = InferenceRESTClient(RESTConfig(protocol="v2", retries=0)), f"http://127.0.0.1:{port}"
    inputs = [InferInput(name, [len(values)], kind, values) for name, kind, values in columns]
    answer = await client.infer(url, InferRequest("churn", inputs), model_name="churn")
    print(json.dumps({
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model": await client.is_model_ready(url, "churn"),
        "other": await client.is_model_ready(url, "other"),
        "outputs": {output.name: output.as_numpy().tolist() for output in answer.outputs},
    }))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


@pytest.mark.usefixtures("kserve_environment")
def test_kserve_infers(port: int) -> None:
    columns = [[name, KINDS[name], ALL[name]] for name in COLUMNS]
    said = json.loads(kserve_client.run(KSERVE, str(port), json.dumps(columns)))
    assert (said["live"], said["ready"], said["model"], said["other"]) == (True, True, True, False)
    assert said["outputs"]["score"] == scores()
    assert set(said["outputs"]["prediction"]) <= {"Yes", "No"}


@pytest.fixture(scope="module")
def server() -> Http:
    return client(predictor())


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": ROWS},
        {"dataframe_split": {"columns": COLUMNS, "data": [[row[name] for name in COLUMNS] for row in ROWS]}},
        {"instances": ROWS},
        {"instances": [[row[name] for name in COLUMNS] for row in ROWS]},
        {"inputs": ALL},
        {"inputs": ROWS},
    ],
)
def test_every_form_of_invocations_means_the_same(server: Http, body: object) -> None:
    found = post(server, body, "/invocations").json()["predictions"]
    assert [one["score"] for one in found] == scores()


def test_invocations_take_csv(server: Http) -> None:
    text = pd.DataFrame(ROWS).to_csv(index=False).encode()
    found = post(server, text, "/invocations", **{"content-type": "text/csv"}).json()["predictions"]
    assert [one["score"] for one in found] == scores()


def test_one_row_of_inputs_may_be_without_lists(server: Http) -> None:
    assert len(post(server, {"inputs": GOOD}, "/invocations").json()["predictions"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"instances": []},
        {"instances": [[1]]},
        {"instances": ROWS, "inputs": ROWS},
        {"inputs": {"tenure": [1, 2], "plan": ["a"]}},
        {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
        {"dataframe_records": [{**GOOD, "tenure": -5}]},
    ],
)
def test_wrong_invocations_are_refused(server: Http, body: object) -> None:
    refused(post(server, body, "/invocations"), 422)


def tensor(**changed: object) -> dict[str, object]:
    return {"name": "tenure", "datatype": "FP64", "shape": [1], "data": [1.0], **changed}


@pytest.mark.parametrize(
    "given",
    [
        tensor(shape=[2]),
        tensor(shape="x"),
        tensor(data=None),
        tensor(datatype="FP7", parameters={"binary_data_size": 0}, shape=[0]),
        tensor(parameters={"binary_data_size": 8}),
        tensor(shape=[1, 2], data=[1, 2]),
        {"name": 3},
        7,
    ],
)
def test_wrong_tensors_are_refused(server: Http, given: object) -> None:
    refused(post(server, {"inputs": [given]}, "/v2/models/churn/infer"), 422)


def test_a_matrix_stands_for_the_columns_in_their_order(server: Http) -> None:
    values = [value for row in ROWS for value in (row[name] for name in COLUMNS)]
    matrix = {"name": "input-0", "datatype": "BYTES", "shape": [len(ROWS), len(COLUMNS)], "data": values}
    answer = post(server, {"inputs": [matrix]}, "/v2/models/churn/infer").json()
    assert answer["outputs"][2]["data"] == scores()


def test_a_binary_length_beyond_the_body_is_refused(server: Http) -> None:
    headers = {"inference-header-content-length": "999"}
    refused(post(server, {"inputs": [tensor()]}, "/v2/models/churn/infer", **headers), 422, "beyond the body")


def test_a_page_of_another_origin_cannot_infer(server: Http) -> None:
    body = json.dumps({"inputs": [tensor()]}).encode()
    headers = {"origin": "https://evil.example"}
    assert server.send("POST", "/v2/models/churn/infer", content=body, headers=headers).status_code == 415
    text = {"content-type": "text/plain"}
    assert server.send("POST", "/v2/models/churn/infer", content=body, headers=text).status_code == 415


def test_a_version_that_does_not_answer_alone_is_not_there(server: Http) -> None:
    refused(server.get("/v2/models/churn/versions/4"), 404, "version 4 does not answer")
    assert server.get("/v2/models/churn/versions/3/ready").json()["ready"] is True


def test_probes_of_every_protocol_agree_without_a_release() -> None:
    empty = client(Predictor(MemoryLog()))
    statuses = {path: empty.get(path).status_code for path in ("/ping", "/ready", "/v2/health/ready", "/v2/models/x")}
    assert set(statuses.values()) == {503}
    assert empty.get("/v2/health/live").status_code == 200


def test_a_framework_above_reaches_the_same_endpoints() -> None:
    app = create_app(predictor())
    app.front = app.behind
    mounted = Http(app)
    assert post(mounted, GOOD).status_code == 200
    assert len(post(mounted, {"instances": ROWS}, "/invocations").json()["predictions"]) == len(ROWS)
    assert httpx.codes.is_success(post(mounted, {"inputs": inputs_json()}, "/v2/models/churn/infer").status_code)


def inputs_json() -> list[dict[str, object]]:
    return [{"name": n, "datatype": KINDS[n], "shape": [len(ROWS)], "data": ALL[n]} for n in COLUMNS]
