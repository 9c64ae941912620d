"""The Open Inference Protocol, version 2, as KServe, Triton and Seldon speak it over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from everfit.errors import RequestError
from everfit.project.sections.serving import Limits, Response
from everfit.records.prediction import Prediction
from everfit.records.table import Kind, Task
from everfit.serving import tensors
from everfit.serving.arms import Snapshot
from everfit.serving.body import Headers, check_rows, decode_json
from everfit.serving.front import Reply
from everfit.serving.rows import RawRow
from everfit.serving.tensors import Tensor

LENGTH = b"inference-header-content-length"
EXTENSIONS = ("binary_tensor_data",)
_TYPES = {Kind.NUMERIC: "FP64", Kind.BOOLEAN: "BOOL"}
_encode = msgspec.json.Encoder().encode
Predict = Callable[[Sequence[RawRow]], Awaitable[list[Prediction]]]


def find(snapshot: Snapshot, name: str, version: str | None) -> int:
    """The champion's version, for the model that is served. HTTPException 404 for another name, and for a version
    that does not answer alone: the release decides who answers whom."""
    manifest, arms = snapshot.champion.manifest, snapshot.table.arms
    if name != manifest.model:
        raise HTTPException(404, f"there is no model {name[:80]!r} here; there is {manifest.model!r}")
    if version is not None and [str(arm.version) for arm in arms] != [version]:
        answering = ", ".join(str(arm.version) for arm in arms)
        raise HTTPException(404, f"version {version[:20]} does not answer; leave it out to ask what does ({answering})")
    return arms[0].version


def metadata(snapshot: Snapshot, response: Response) -> dict[str, Any]:
    """What the model takes and gives."""
    model = snapshot.champion
    schema = model.manifest.schema
    inputs = [
        {"name": name, "datatype": _TYPES.get(schema[name].kind, "BYTES"), "shape": [-1]}
        for name in model.parser.required
    ]
    outputs = [
        {"name": name, "datatype": kind, "shape": [-1, *further]}
        for name, kind, further in _outputs(snapshot, response)
    ]
    versions = [str(arm.version) for arm in snapshot.table.arms]
    return {
        "name": model.manifest.model,
        "versions": versions,
        "platform": f"everfit_{model.manifest.family}",
        "inputs": inputs,
        "outputs": outputs,
    }


async def infer(
    snapshot: Snapshot, headers: Headers, body: bytes, limits: Limits, response: Response, predict: Predict
) -> Reply:
    """An inference request to its answer, in JSON or binary as asked. Raises RequestError, and HTTPException 415."""
    length = _json_length(headers, body)
    request = decode_json(body[:length], limits)
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise RequestError("the body must be an object with `inputs`", where="body", fix="see /docs for the columns")
    found = list(tensors.read(request["inputs"], body[length:]))
    check_rows(max((tensor.shape[0] for tensor in found if tensor.shape), default=0), "rows", limits)
    predictions = await predict(tensors.rows(found, snapshot.champion.parser.required))
    return _reply(request, snapshot, outputs(predictions, snapshot, response))


def _json_length(headers: Headers, body: bytes) -> int:
    given = headers.get(LENGTH)
    if b"content-encoding" in headers:
        raise HTTPException(415, "the body must not be compressed")
    if given is not None:
        if not given.isdigit() or int(given[:20]) > len(body):
            raise RequestError("the header's length goes beyond the body", where=LENGTH.decode(), fix="send its bytes")
        return int(given)
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    # Clients of Triton send no type at all; a web page of another origin could, but then says its origin.
    if kind != b"application/json" and (kind or b"origin" in headers):
        raise HTTPException(415, "the body must be JSON; send the header `Content-Type: application/json`")
    return len(body)


def _outputs(snapshot: Snapshot, response: Response) -> list[tuple[str, str, tuple[int, ...]]]:
    manifest = snapshot.champion.manifest
    found: list[tuple[str, str, tuple[int, ...]]] = [
        ("id", "BYTES", ()),
        ("prediction", "FP64" if manifest.task is Task.REGRESSION else "BYTES", ()),
        (response.score, "FP64", ()),
    ]
    if manifest.task is Task.MULTICLASS:
        found.append(("probabilities", "FP64", (len(manifest.classes),)))
    return found


def outputs(predictions: Sequence[Prediction], snapshot: Snapshot, response: Response) -> list[Tensor]:
    """The predictions as tensors."""
    made: dict[str, list[Any]] = {
        "id": [one.id for one in predictions],
        "prediction": [response.labels.get(str(p), p) for p in (one.prediction for one in predictions)],
        response.score: [one.score for one in predictions],
        "probabilities": [share for one in predictions for share in (one.probabilities or {}).values()],
    }
    count = len(predictions)
    return [Tensor(name, kind, (count, *rest), made[name]) for name, kind, rest in _outputs(snapshot, response)]


def _reply(request: Mapping[str, Any], snapshot: Snapshot, answers: Sequence[Tensor]) -> Reply:
    wanted = _wanted(request, [tensor.name for tensor in answers])
    shown = [tensors.shown(tensor, wanted[tensor.name]) for tensor in answers if tensor.name in wanted]
    head: dict[str, Any] = {
        "model_name": snapshot.champion.manifest.model,
        "model_version": str(snapshot.table.arms[0].version),
        "outputs": [output for output, _ in shown],
    }
    if isinstance(request.get("id"), str):
        head["id"] = request["id"]
    text, binary = _encode(head), b"".join(data for _, data in shown)
    if not any(wanted.values()):
        return Reply(text)
    length = (LENGTH, b"%d" % len(text))
    return Reply(text + binary, b"application/octet-stream", (length,))


def _wanted(request: Mapping[str, Any], names: Sequence[str]) -> dict[str, bool]:
    """The outputs asked for, and whether in binary form."""
    all_binary = _says(request, "binary_data_output")
    listed = request.get("outputs")
    if not listed:
        return dict.fromkeys(names, all_binary)
    asked = [output if isinstance(output, dict) else {} for output in listed] if isinstance(listed, list) else []
    found = chosen([output.get("name") for output in asked], names)
    return {name: _says(output, "binary_data", all_binary) for name, output in zip(found, asked, strict=False)}


def chosen(asked: Sequence[object], names: Sequence[str]) -> Sequence[str]:
    """The outputs asked for, all where none is named. Raises RequestError for one that there is not."""
    for name in asked:
        if name not in names:
            raise RequestError(
                f"there is no output {str(name)[:80]!r}", where="outputs", fix=f"ask for {', '.join(names)}"
            )
    return [str(name) for name in asked] or names


def _says(given: Mapping[str, Any], name: str, otherwise: bool = False) -> bool:
    parameters = given.get("parameters")
    return bool(parameters.get(name, otherwise)) if isinstance(parameters, dict) else otherwise
