"""The HTTP around a predictor: parse, call, shape. Every decision about a prediction is made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from importlib.metadata import version as installed

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from everfit.errors import EverfitError, MissingExtra
from everfit.ports import LabelStore
from everfit.project.sections.serving import Limits
from everfit.project.sections.serving import Response as ResponseSection
from everfit.records.prediction import Prediction
from everfit.records.release import deployment
from everfit.serving import answers, explanations, feedback, invocations, page
from everfit.serving.access import Access
from everfit.serving.answering import Answering
from everfit.serving.approving import Approve, Approving
from everfit.serving.body import Headers, check_json, decode_json, is_json, many, may_be_many, read_body
from everfit.serving.commit import GroupCommit
from everfit.serving.explaining import Explainer
from everfit.serving.front import LOOPBACK_NAMES, Endpoint, Front, Reply, told
from everfit.serving.inference_server import MODEL_PATHS, InferenceServer, path_parameters
from everfit.serving.many import FEW_BYTES, Many
from everfit.serving.metrics import CONTENT_TYPE
from everfit.serving.predictor import Predictor
from everfit.serving.quick import Quick
from everfit.serving.turns import Turns

Answer = answers.Shape
_encode = msgspec.json.Encoder().encode


def create_app(
    predictor: Predictor,
    *,
    name: str = "everfit",
    response: ResponseSection | None = None,
    limits: Limits | None = None,
    labels: LabelStore | None = None,
    explainer: Explainer | None = None,
    hosts: Collection[str] | None = LOOPBACK_NAMES,
    access: Access | None = None,
    approve: Approve | None = None,
    waits: bool = False,
    batches: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Application:
    """The application: POST /predict and /feedback; GET /explain/ID, /health, /ready, /version, /metrics, /docs and
    /openapi.json.

    `response` and `limits` are the project's sections; without `labels`, /feedback says that it is not there, and
    without `explainer` so does /explain. `hosts` are the names that the server answers for; None takes any. `access`
    says who may ask; with `approve`, /approve is there; `waits` says that the log waits for the disk, and `batches`
    that models without a compiled form answer requests together. Raises ProjectError for a `response` that cannot be.
    """
    answers.check_response(response or ResponseSection())
    app = Application(title=name, version=installed("everfit"), docs_url=None, redoc_url=None, openapi_url=None)
    for kind in (EverfitError, HTTPException, ClientDisconnect):
        app.add_exception_handler(kind, lambda request, error: told(error, request.url.path))
    commit = GroupCommit(predictor.log, waits=waits)
    limits = limits or Limits()
    routes = _Routes(Answering(predictor, commit, batches), name, response or ResponseSection(), limits, labels, now)
    predictor.metrics.waiting = lambda: commit.waiting
    explain = explanations.endpoint(explainer, predictor, routes.response)
    turns = None if routes.response.features else Turns(predictor, commit, routes.shape)
    quick = Quick(predictor, commit, routes.shape, routes.many, turns)
    app.front = Front(app.behind, hosts, routes.hot, limits, quick, access or Access(), predictor.metrics.failed)
    add = app.add_api_route
    add("/predict", routes.by_framework, methods=["POST"], summary="Predict one row, several, or a stored entity.")
    add("/invocations", routes.by_framework, methods=["POST"], summary="Predict as MLflow's scoring server does.")
    add("/ping", routes.ready, methods=["GET"], summary="Whether a model is loaded, as MLflow asks.")
    for path in MODEL_PATHS:
        add(
            f"{path}/infer",
            routes.by_framework,
            methods=["POST"],
            summary="Predict by the Open Inference Protocol.",
            openapi_extra={"parameters": path_parameters(path)},
        )
        add(f"{path}/ready", routes.inference.ready, methods=["GET"], summary="Whether the model answers.")
        add(path, routes.inference.model, methods=["GET"], summary="What the model takes and gives.")
    add("/v2", routes.inference.server, methods=["GET"], summary="The server, by the Open Inference Protocol.")
    add("/v2/health/live", routes.inference.live, methods=["GET"], summary="Whether the process is alive.")
    add("/v2/health/ready", routes.inference.loaded, methods=["GET"], summary="Whether a model is loaded.")
    add("/feedback", routes.feedback, methods=["POST"], summary="Say what turned out to be true.")
    if approve is not None:
        approving = Approving(approve, limits).approve
        add("/approve", approving, methods=["POST"], summary="Allow a version, by the key of who approves.")
    add("/explain/{identity}", explain, methods=["GET"], summary="What a prediction is made of.")
    add("/health", routes.health, methods=["GET"], summary="Whether the process is alive.")
    add("/ready", routes.ready, methods=["GET"], summary="Whether a model is loaded.")
    add("/version", routes.version, methods=["GET"], summary="Who answers.")
    add("/metrics", routes.metrics, methods=["GET"], summary="Metrics for Prometheus.")
    add("/docs", routes.docs, methods=["GET"], include_in_schema=False)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Answer:
        return page.openapi(app, predictor.snapshot, routes.response)

    return app


class Application(FastAPI):
    """A FastAPI behind a front."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection, by way of the front."""
        await self.front(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI itself."""
        await super().__call__(scope, receive, send)


class _Routes:
    """The endpoints, with what they share."""

    def __init__(
        self,
        answering: Answering,
        name: str,
        response: ResponseSection,
        limits: Limits,
        labels: LabelStore | None,
        now: Callable[[], datetime],
    ) -> None:
        self._answering = answering
        self.inference = InferenceServer(answering, response, limits)
        self._predictor = answering.predictor
        self._name = name
        self.response = response
        self._limits = limits
        self._forms = answers.Forms(response)
        self.many = Many(self._predictor, limits, self._forms)
        self._labels = labels
        self._now = now

    async def predict(self, headers: Headers, body: bytes) -> Reply:
        """One object of columns, or `{"rows": [objects]}`, to one answer, or `{"predictions": [answers]}`."""
        if may_be_many(body) and is_json(headers):
            found = await self._answering.together(lambda: self.many.scored(body), few=len(body) <= FEW_BYTES)
            if found is not None:
                return Reply(self.many.body(found))
        try:
            check_json(headers)
            rows, alone = many(decode_json(body, self._limits), "rows", self._limits)
        except (EverfitError, HTTPException):
            self._predictor.metrics.rejected()
            raise
        predictions = await self._answering.predict(rows)
        shaped = [self.shape(prediction) for prediction in predictions]
        return Reply(_encode(shaped[0] if alone else {"predictions": shaped}))

    def shape(self, prediction: Prediction) -> object:
        """A prediction as the project wants it."""
        return self._forms.of(self._predictor.snapshot.champion.manifest.entity).of(prediction)

    async def invocations(self, headers: Headers, body: bytes) -> Reply:
        """MLflow's formats, to `{"predictions": [objects]}`."""
        required = self._predictor.snapshot.champion.parser.required
        predictions = await self._answering.predict(invocations.rows(headers, body, self._limits, required))
        score = self.response.score
        return Reply(_encode({"predictions": [invocations.shape(one, score) for one in predictions]}))

    def hot(self, path: str) -> Endpoint | None:
        """What answers a POST to the path without FastAPI."""
        found = {"/predict": self.predict, "/invocations": self.invocations}.get(path)
        return self.inference.infer(path) if found is None and path.startswith("/v2/models/") else found

    async def by_framework(self, request: Request) -> Response:
        """The same endpoints by way of FastAPI, for a server that mounts this application below another."""
        endpoint, headers = self.hot(request.url.path), dict(request.headers.raw)
        if endpoint is None:
            raise HTTPException(404)
        reply = await endpoint(headers, await read_body(request.receive, headers, self._limits))
        further = {name.decode(): value.decode() for name, value in reply.headers}
        return Response(reply.body, media_type=reply.kind.decode(), headers=further)

    async def feedback(self, request: Request) -> Response:
        """One label, or `{"labels": [labels]}`, to how many of them were new."""
        if self._labels is None:
            raise MissingExtra("this server keeps no labels", where="/feedback", fix="start it with `everfit serve`")
        headers = dict(request.headers.raw)
        check_json(headers)
        value = decode_json(await read_body(request.receive, headers, self._limits), self._limits)
        items, _ = many(value, "labels", self._limits)
        manifest = self._predictor.snapshot.champion.manifest
        found = feedback.labels(items, manifest, self.response.labels, self._now())
        new = await run_in_threadpool(self._labels.put, found)
        self._predictor.metrics.labelled(new)
        return _json({"received": len(found), "new": new})

    async def health(self) -> Answer:
        """Always 200 while the process answers at all."""
        return {"status": "alive"}

    async def ready(self) -> Answer:
        """503 until a model is released and loaded; `behind` says why a newer release is not served."""
        snapshot = self._predictor.snapshot
        model = snapshot.champion.manifest.model
        answer = {"status": "ready", "model": model, "version": snapshot.table.arms[0].version}
        return {**answer, "behind": self._predictor.behind} if self._predictor.behind else answer

    async def version(self) -> Answer:
        """The server's version, the release that it follows, and the arms with their shares of traffic."""
        snapshot = self._predictor.snapshot
        arms = [
            {
                "arm": arm.name,
                "version": arm.version,
                "deployment": deployment(manifest.model, arm.version),
                "share": arm.weight,
                "family": manifest.family,
            }
            for arm in snapshot.table.arms
            for manifest in [snapshot.models[arm.version].manifest]
        ]
        return {"project": self._name, "everfit": installed("everfit"), "release": snapshot.table.number, "arms": arms}

    async def metrics(self) -> Response:
        """Prometheus' text format."""
        return Response(self._predictor.metrics.text(), media_type=CONTENT_TYPE)

    async def docs(self) -> Response:
        """A page without any foreign host: the routes, an example that works and a form to try it."""
        html, policy = page.docs(self._name, self._predictor.snapshot, self.response, self._predictor.behind)
        return HTMLResponse(html, headers={"content-security-policy": policy})


def _json(value: Answer) -> Response:
    return Response(_encode(value), media_type="application/json")
