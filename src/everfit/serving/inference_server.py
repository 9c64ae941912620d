"""The routes of the Open Inference Protocol, version 2."""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from typing import Any

from everfit.project.sections.serving import Limits, Response
from everfit.serving import inference
from everfit.serving.answering import Answering
from everfit.serving.body import Headers
from everfit.serving.front import Endpoint, Reply

MODEL_PATHS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_INFER = re.compile(r"/v2/models/(?P<model>[^/]+)(/versions/(?P<version>[^/]+))?/infer")


def path_parameters(path: str) -> list[dict[str, Any]]:
    """The parameters in a path, as OpenAPI describes them.

    >>> path_parameters("/v2/models/{model}")
    [{'name': 'model', 'in': 'path', 'required': True, 'schema': {'type': 'string'}}]
    """
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


class InferenceServer:
    """What KServe's, Triton's and Seldon's clients ask for."""

    def __init__(self, answering: Answering, response: Response, limits: Limits) -> None:
        self._answering = answering
        self._response = response
        self._limits = limits

    def infer(self, path: str) -> Endpoint | None:
        """What answers a POST to the path, where it is an inference."""
        match = _INFER.fullmatch(path)
        if match is None:
            return None

        async def endpoint(headers: Headers, body: bytes) -> Reply:
            snapshot = self._answering.predictor.snapshot
            inference.find(snapshot, match["model"], match["version"])
            predict = self._answering.predict
            return await inference.infer(snapshot, headers, body, self._limits, self._response, predict)

        return endpoint

    async def model(self, model: str, version: str | None = None) -> dict[str, Any]:
        """The model's metadata."""
        snapshot = self._answering.predictor.snapshot
        inference.find(snapshot, model, version)
        return inference.metadata(snapshot, self._response)

    async def ready(self, model: str, version: str | None = None) -> dict[str, Any]:
        """200 while the model answers."""
        found = inference.find(self._answering.predictor.snapshot, model, version)
        return {"name": model, "version": str(found), "ready": True}

    async def live(self) -> dict[str, Any]:
        """200 while the process answers at all."""
        return {"live": True}

    async def loaded(self) -> dict[str, Any]:
        """200 once a model is loaded; 503 before."""
        self._answering.predictor.snapshot.champion  # noqa: B018  raises NotReady
        return {"ready": True}

    async def server(self) -> dict[str, Any]:
        """The server's metadata."""
        return {"name": "everfit", "version": installed("everfit"), "extensions": list(inference.EXTENSIONS)}
