"""The methods of the Open Inference Protocol over gRPC: messages in, messages out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version as installed
from typing import Any

from starlette.exceptions import HTTPException

from everfit.errors import RequestError
from everfit.project.sections.serving import Limits, Response
from everfit.serving import inference, tensors
from everfit.serving.answering import Answering
from everfit.serving.body import check_rows
from everfit.serving.grpc_messages import message
from everfit.serving.tensors import Tensor

# Each method's path over HTTP: the roles that open it are the same.
PATHS: Mapping[str, Callable[[Any], str]] = {
    "ServerLive": lambda request: "/v2/health/live",
    "ServerReady": lambda request: "/v2/health/ready",
    "ServerMetadata": lambda request: "/v2",
    "ModelReady": lambda request: f"/v2/models/{request.name}/ready",
    "ModelMetadata": lambda request: f"/v2/models/{request.name}",
    "ModelInfer": lambda request: f"/v2/models/{request.model_name}/infer",
}
# Where a tensor's elements stand that are not in raw form.
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


class Inference:
    """One method for each of the service's, by its name there."""

    def __init__(self, answering: Answering, response: Response, limits: Limits) -> None:
        self._answering = answering
        self._response = response
        self._limits = limits

    def failed(self, status: int) -> None:
        """Counts an answer that is an error."""
        self._answering.predictor.metrics.failed(str(status))

    async def ServerLive(self, request: Any) -> Any:  # noqa: N802  the protocol's name
        """True while the process answers at all."""
        return message("ServerLiveResponse")(live=True)

    async def ServerReady(self, request: Any) -> Any:  # noqa: N802
        """Whether a model is loaded."""
        return message("ServerReadyResponse")(ready=bool(self._answering.predictor.snapshot.table.arms))

    async def ModelReady(self, request: Any) -> Any:  # noqa: N802
        """Whether this model answers."""
        snapshot = self._answering.predictor.snapshot
        try:
            found = bool(snapshot.table.arms) and inference.find(snapshot, request.name, request.version or None)
        except HTTPException:
            found = False
        return message("ModelReadyResponse")(ready=bool(found))

    async def ServerMetadata(self, request: Any) -> Any:  # noqa: N802
        """Who serves."""
        return message("ServerMetadataResponse")(name="everfit", version=installed("everfit"))

    async def ModelMetadata(self, request: Any) -> Any:  # noqa: N802
        """What the model takes and gives."""
        snapshot = self._answering.predictor.snapshot
        inference.find(snapshot, request.name, request.version or None)
        return message("ModelMetadataResponse")(**inference.metadata(snapshot, self._response))

    async def ModelInfer(self, request: Any) -> Any:  # noqa: N802
        """Predictions, in the log before they are given; raw where the request was."""
        snapshot = self._answering.predictor.snapshot
        inference.find(snapshot, request.model_name, request.model_version or None)
        given = _tensors(request)
        check_rows(max((tensor.shape[0] for tensor in given if tensor.shape), default=0), "rows", self._limits)
        predictions = await self._answering.predict(tensors.rows(given, snapshot.champion.parser.required))
        answers = inference.outputs(predictions, snapshot, self._response)
        asked = inference.chosen([output.name for output in request.outputs], [answer.name for answer in answers])
        shown = [answer for answer in answers if answer.name in asked]
        head = {"model_name": snapshot.champion.manifest.model, "model_version": str(snapshot.table.arms[0].version)}
        answer = message("ModelInferResponse")(**head, id=request.id)
        for tensor in shown:
            _add(answer, tensor, raw=bool(request.raw_input_contents))
        return answer


def _tensors(request: Any) -> list[Tensor]:
    """The request's tensors. Raises RequestError."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise RequestError(
            f"there are {len(request.inputs)} inputs and {len(raw)} raw contents",
            where="raw_input_contents",
            fix="send raw contents for every input, or for none",
        )
    found = []
    for place, given in enumerate(request.inputs):
        values = tensors.of_bytes(given.name, given.datatype, raw[place]) if raw else _contents(given)
        found.append(tensors.tensor(given.name, given.datatype, list(given.shape), values))
    return found


def _contents(given: Any) -> list[Any]:
    field = _CONTENTS.get(given.datatype)
    if field is None:
        raise RequestError(
            f"{given.name}: the datatype {given.datatype[:20]!r} has no typed contents",
            where=given.name,
            fix="send it as raw contents",
        )
    values = list(getattr(given.contents, field))
    return [tensors.text(given.name, value) for value in values] if given.datatype == "BYTES" else values


def _add(answer: Any, tensor: Tensor, raw: bool) -> None:
    shown = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    if raw:
        answer.raw_output_contents.append(tensors.to_bytes(tensor))
        return
    values = [value.encode() for value in tensor.values] if tensor.datatype == "BYTES" else tensor.values
    getattr(shown.contents, _CONTENTS[tensor.datatype]).extend(values)
