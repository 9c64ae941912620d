"""The inference protocol over gRPC: Triton's and KServe's own clients, keys, limits, certificates, a real socket."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tests.services import certificates, kserve_client
from tests.unit.serving_models import MemoryLog, model, one, scoring
from tests.unit.test_serving_clients import ALL, COLUMNS, KINDS, ROWS, scores
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import MissingExtra, ProjectError, StorageError
from everfit.flow import keys
from everfit.project.sections.serving import Limits, Response, Tls
from everfit.records.access import Role
from everfit.serving import grpc_server
from everfit.serving.access import Access
from everfit.serving.answering import Answering
from everfit.serving.commit import GroupCommit
from everfit.serving.grpc_inference import Inference
from everfit.serving.grpc_messages import message
from everfit.serving.predictor import Predictor


def predictor(log: MemoryLog | None = None) -> Predictor:
    made = Predictor(log or MemoryLog())
    made.swap(one(3), {3: model()})
    return made


@contextmanager
def served(
    made: Predictor, access: Access | None = None, limits: Limits | None = None, tls: Tls | None = None
) -> Iterator[int]:
    inference = Inference(Answering(made, GroupCommit(made.log)), Response(), limits or Limits())
    with grpc_server.running(inference, ("127.0.0.1", 0), limits or Limits(), access or Access(), tls, False) as port:
        yield port


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(predictor()) as bound:
        yield bound


@contextmanager
def asking(port: int, **given: Any) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{port}", **given) as opened:
        yield opened


def inputs(columns: list[str] = COLUMNS) -> list[Any]:
    made = []
    for name in columns:
        array = np.array(ALL[name], dtype=np.float64 if KINDS[name] == "FP64" else np.object_)
        made.append(triton.InferInput(name, [len(ROWS)], KINDS[name]))
        made[-1].set_data_from_numpy(array)
    return made


def test_triton_finds_the_server_and_its_model(port: int) -> None:
    with asking(port) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("churn")
        assert client.is_model_ready("churn", "3")
        assert not client.is_model_ready("churn", "4")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata().name == "everfit"
        said = client.get_model_metadata("churn")
        assert [given.name for given in said.inputs] == COLUMNS
        assert (list(said.versions), [given.name for given in said.outputs]) == (["3"], ["id", "prediction", "score"])


def test_triton_infers_what_the_model_says_and_all_of_it_is_logged() -> None:
    log = MemoryLog()
    with served(predictor(log)) as bound, asking(bound) as client:
        answer = client.infer("churn", inputs(), request_id="r-1")
    assert answer.as_numpy("score").tolist() == scores()
    assert answer.get_response().id == "r-1"
    assert [one.decode() for one in answer.as_numpy("id")] == [record.id for record in log.records]


def test_outputs_are_chosen(port: int) -> None:
    with asking(port) as client:
        answer = client.infer("churn", inputs(), outputs=[triton.InferRequestedOutput("score")])
        assert answer.as_numpy("score").tolist() == scores()
        assert answer.as_numpy("id") is None
        with pytest.raises(InferenceServerException, match="there is no output"):
            client.infer("churn", inputs(), outputs=[triton.InferRequestedOutput("nothing")])


def call(port: int, method: str, request: Any) -> Any:
    """A method by its name, as any client of the protocol would call it."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(
            f"/inference.GRPCInferenceService/{method}",
            request_serializer=message(f"{method}Request").SerializeToString,
            response_deserializer=message(f"{method}Response").FromString,
        )
        return ask(request, timeout=60)


def typed(**changed: Any) -> Any:
    """The rows as typed contents; of BYTES as bytes."""
    request = message("ModelInferRequest")(**{"model_name": "churn", **changed})
    for name in COLUMNS:
        tensor = request.inputs.add(name=name, datatype=KINDS[name], shape=[len(ROWS), 1])
        if KINDS[name] == "FP64":
            tensor.contents.fp64_contents.extend(ALL[name])
        else:
            tensor.contents.bytes_contents.extend(str(value).encode() for value in ALL[name])
    return request


def test_typed_contents_are_answered_in_kind(port: int) -> None:
    answer = call(port, "ModelInfer", typed())
    found = {output.name: output for output in answer.outputs}
    assert list(found["score"].contents.fp64_contents) == scores()
    assert {one.decode() for one in found["prediction"].contents.bytes_contents} <= {"Yes", "No"}
    assert answer.model_version == "3"


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (typed(model_name="other"), "no model 'other'"),
        (typed(model_version="9"), "version 9 does not answer"),
        (typed(raw_input_contents=[b"1"]), "raw contents"),
        (message("ModelInferRequest")(model_name="churn"), "at least one"),
    ],
)
def test_what_is_wrong_is_said(port: int, request_: Any, says: str) -> None:
    with pytest.raises(grpc.RpcError, match=says) as caught:
        call(port, "ModelInfer", request_)
    assert caught.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("datatype", ["FP16", "FP7", "BYTES"])
def test_contents_that_cannot_be_read_are_refused(port: int, datatype: str) -> None:
    request = typed()
    request.inputs[0].datatype = datatype
    with pytest.raises(grpc.RpcError) as caught:
        call(port, "ModelInfer", request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_column_is_named(port: int) -> None:
    with asking(port) as client, pytest.raises(InferenceServerException, match="tenure: is absent"):
        client.infer("churn", inputs(COLUMNS[1:]))


def test_without_a_release_the_server_is_live_and_not_ready() -> None:
    with served(Predictor(MemoryLog())) as bound, asking(bound) as client:
        assert client.is_server_live()
        assert not client.is_server_ready()
        assert not client.is_model_ready("churn")
        with pytest.raises(InferenceServerException, match="no model is released yet"):
            client.infer("churn", inputs())


def test_what_cannot_be_logged_is_not_answered() -> None:
    class Full(MemoryLog):
        def append(self, records: Any) -> None:
            raise StorageError("the disk is full")

    with served(predictor(Full())) as bound, pytest.raises(grpc.RpcError, match="disk is full") as caught:
        call(bound, "ModelInfer", typed())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_defect_is_told_by_a_number_only(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryLog):
        def append(self, records: Any) -> None:
            raise ZeroDivisionError("secret")

    with served(predictor(Broken())) as bound, pytest.raises(grpc.RpcError, match="unexpected error") as caught:
        call(bound, "ModelInfer", typed())
    assert "secret" not in str(caught.value.details())
    assert "secret" in caplog.text


def test_a_key_is_shown_as_metadata(tmp_path: Path) -> None:
    access, state, now = Access(), SqliteState(tmp_path / "state.db"), datetime.now(UTC)
    good, other = (keys.add(state, role.value, (role,), "ann", now) for role in (Role.PREDICT, Role.FEEDBACK))
    access.tell(keys.current(state))
    with served(predictor(), access) as bound, asking(bound) as client:
        assert client.is_server_live()
        for headers, code in (({}, "UNAUTHENTICATED"), ({"x-api-key": other}, "PERMISSION_DENIED")):
            with pytest.raises(InferenceServerException, match=code):
                client.infer("churn", inputs(), headers=headers)
        answer = client.infer("churn", inputs(), headers={"authorization": f"Bearer {good}"})
        assert answer.as_numpy("score").tolist() == scores()


def test_certificates_are_those_of_the_rest_server(tmp_path: Path) -> None:
    server, caller = certificates.made(tmp_path)
    tls = Tls(certificate=str(server.certificate), key=str(server.key), authority=str(server.certificate))
    trusted = {"ssl": True, "root_certificates": str(server.certificate)}
    with served(predictor(), tls=tls) as bound:
        shown = {"private_key": str(caller.key), "certificate_chain": str(caller.certificate)}
        with asking(bound, **trusted, **shown) as client:
            assert client.infer("churn", inputs()).as_numpy("score").tolist() == scores()
        for given in (trusted, {}):
            with asking(bound, **given) as client, pytest.raises(InferenceServerException):
                client.infer("churn", inputs(), client_timeout=20)


@pytest.mark.parametrize("limits", [Limits(body=100), Limits(rows=3)])
def test_limits_hold(limits: Limits) -> None:
    with served(predictor(), limits=limits) as bound, pytest.raises(grpc.RpcError) as caught:
        call(bound, "ModelInfer", typed())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_errors_are_counted() -> None:
    made = predictor()
    with served(made) as bound, pytest.raises(grpc.RpcError):
        call(bound, "ModelInfer", typed(model_name="other"))
    assert 'request_errors_total{status="404"} 1.0' in made.metrics.text().decode()


def test_a_heavy_model_answers_in_threads() -> None:
    log = MemoryLog()
    made = Predictor(log)
    made.swap(one(), {1: scoring(model(), lambda matrix: np.full((len(matrix), 2), 0.5))})
    with served(made) as bound:
        answer = call(bound, "ModelInfer", typed())
    assert list(answer.outputs[2].contents.fp64_contents) == [0.5] * len(ROWS)


KSERVE = """
import asyncio, json, sys
from kserve import InferInput, InferRequest, InferenceGRPCClient

async def main(port, columns):
    client = InferenceGRPCClient(f"127.0.0.1:{port}")
    inputs = [InferInput(name, [len(values)], kind, values) for name, kind, values in columns]
    answer = await client.infer(InferRequest("churn", inputs))
    print(json.dumps({
        "live": await client.is_server_live(),
        "ready": await client.is_server_ready(),
        "model": await client.is_model_ready("churn"),
        "score": [output for output in answer.outputs if output.name == "score"][0].as_numpy().tolist(),
    }))
    await client.close()

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


@pytest.mark.usefixtures("kserve_environment")
def test_kserve_infers(port: int) -> None:
    columns = [[name, KINDS[name], ALL[name]] for name in COLUMNS]
    said = json.loads(kserve_client.run(KSERVE, str(port), json.dumps(columns)))
    assert said == {"live": True, "ready": True, "model": True, "score": scores()}


def test_a_taken_port_is_told(port: int) -> None:
    inference = Inference(Answering(predictor(), GroupCommit(MemoryLog())), Response(), Limits())
    running = grpc_server.running(inference, ("127.0.0.1", port), Limits(), Access(), None, False)
    with pytest.raises(ProjectError, match=f"port {port} cannot be opened"), running:
        raise AssertionError("it was opened")
    with pytest.raises(ProjectError, match="taken by another program"):
        grpc_server.check(("127.0.0.1", port), workers=2)


def test_several_workers_need_a_named_port() -> None:
    with pytest.raises(ProjectError, match="named"):
        grpc_server.check(("127.0.0.1", 0), workers=2)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtra, match="grpcio") as caught:
        grpc_server.check(("127.0.0.1", 0), workers=1)
    assert "everfit[grpc]" in caught.value.fix
