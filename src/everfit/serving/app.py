"""The HTTP around a predictor: parse, call, shape. Every decision about a prediction is made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from importlib.metadata import version as installed

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from everfit.errors import EverfitError, MissingExtra
from everfit.ports import LabelStore
from everfit.project.sections.serving import Limits
from everfit.project.sections.serving import Response as ResponseSection
from everfit.serving import answers, feedback, page
from everfit.serving.body import many, read_json
from everfit.serving.guard import LOOPBACK_NAMES, Guard, problem
from everfit.serving.metrics import CONTENT_TYPE
from everfit.serving.predictor import Predictor

Answer = answers.Shape


def create_app(
    predictor: Predictor,
    *,
    name: str = "everfit",
    response: ResponseSection | None = None,
    limits: Limits | None = None,
    labels: LabelStore | None = None,
    hosts: Collection[str] | None = LOOPBACK_NAMES,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The application: POST /predict and /feedback; GET /health, /ready, /version, /metrics, /docs, /openapi.json.

    `response` and `limits` are the project's sections; without `labels`, /feedback says that it is not there. `hosts`
    are the names that the server answers for; None takes any. Raises ProjectError for a `response` that cannot be.
    """
    answers.check_response(response or ResponseSection())
    app = FastAPI(
        title=name,
        version=installed("everfit"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(Guard, hosts=hosts)],
    )
    app.add_exception_handler(EverfitError, _told)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    routes = _Routes(predictor, name, response or ResponseSection(), limits or Limits(), labels, now)
    add = app.add_api_route
    add("/predict", routes.predict, methods=["POST"], summary="Predict one row, several, or a stored entity.")
    add("/feedback", routes.feedback, methods=["POST"], summary="Say what turned out to be true.")
    add("/health", routes.health, methods=["GET"], summary="Whether the process is alive.")
    add("/ready", routes.ready, methods=["GET"], summary="Whether a model is loaded.")
    add("/version", routes.version, methods=["GET"], summary="Who answers.")
    add("/metrics", routes.metrics, methods=["GET"], summary="Metrics for Prometheus.")
    add("/docs", routes.docs, methods=["GET"], include_in_schema=False)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Answer:
        return page.openapi(app, predictor.snapshot, routes.response)

    return app


class _Routes:
    """The endpoints, with what they share."""

    def __init__(
        self,
        predictor: Predictor,
        name: str,
        response: ResponseSection,
        limits: Limits,
        labels: LabelStore | None,
        now: Callable[[], datetime],
    ) -> None:
        self._predictor = predictor
        self._name = name
        self.response = response
        self._limits = limits
        self._labels = labels
        self._now = now

    async def predict(self, request: Request) -> Response:
        """One object of columns, or `{"rows": [objects]}`, to one answer, or `{"predictions": [answers]}`."""
        try:
            rows, alone = many(await read_json(request, self._limits), "rows", self._limits.rows)
        except EverfitError:
            self._predictor.metrics.rejected()
            raise
        predictions = await run_in_threadpool(self._predictor.predict, rows)
        entity = self._predictor.snapshot.champion.manifest.entity
        shaped = [answers.shape(prediction, entity, self.response) for prediction in predictions]
        return _json(shaped[0] if alone else {"predictions": shaped})

    async def feedback(self, request: Request) -> Response:
        """One label, or `{"labels": [labels]}`, to how many of them were new."""
        if self._labels is None:
            raise MissingExtra("this server keeps no labels", where="/feedback", fix="start it with `everfit serve`")
        items, _ = many(await read_json(request, self._limits), "labels", self._limits.rows)
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
            {"arm": arm.name, "version": arm.version, "share": arm.weight, "family": manifest.family}
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
    return Response(to_json(value), media_type="application/json")


def _told(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, EverfitError):
        raise error
    return problem(error.status, error.what, error.fix, error.where)


def _refused(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    fix = "see /docs for what there is" if error.status_code in (404, 405) else "see /docs for an example that works"
    answer = problem(error.status_code, error.detail, fix, request.url.path)
    answer.headers.update(error.headers or {})
    return answer


def _gone(request: Request, error: Exception) -> Response:
    # Nobody reads this: the caller hung up while sending.
    return problem(400, "the connection ended before the body did")
