"""Before any traffic: a version stands behind a server of its own, and is asked over HTTP as callers will ask it.

The server is the one of `everfit serve`, on a free port of this machine's loopback, with a route table and a prediction
log of its own. What it answered, and how fast, is the evidence of the release that follows.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from everfit.errors import EverfitError, ReleaseError
from everfit.flow import smoke
from everfit.flow.asking import Answered, Asking
from everfit.project.sections.serving import Response
from everfit.records.model import ModelVersion
from everfit.records.release import Arm, RouteTable
from everfit.records.table import Value
from everfit.serving.app import create_app
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor
from everfit.serving.server import serve

TIMES = 5
UNKNOWN = "a column that no table has"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a version is rehearsed: how it is asked, and the log that its server writes."""

    ask: Asking
    log: JsonLinesLog
    response: Response


def rehearse(model: Model, made: ModelVersion, longest: float, response: Response | None = None) -> Mapping[str, Value]:
    """Asks the version alone over HTTP: its example is answered to the bit by /predict and by MLflow's protocol and
    logged alike, within `longest` seconds, and a row that it cannot read is refused. Returns the evidence; raises
    ReleaseError for what fails."""
    try:
        smoke.check(model, made)
        with _stage(model, made, response or Response()) as stage:
            fastest = _answers(stage, model, longest)
            _agrees(stage, model)
            _refuses(stage, model)
    except EverfitError as error:
        raise ReleaseError(
            f"version {made.version} failed its rehearsal, and gets no traffic: {error.what}",
            where="release.guard",
            fix="train another version, or release an earlier one",
        ) from error
    requests = TIMES + 2
    return {"rehearsal_requests": requests, "rehearsal_ms": round(1000 * fastest, 3), "rehearsal_score": _score(model)}


@contextmanager
def _stage(model: Model, made: ModelVersion, response: Response) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="everfit-rehearsal-") as folder:
        log = JsonLinesLog(Path(folder))
        predictor = Predictor(log)
        predictor.swap(RouteTable(1, (Arm("champion", made.version, 1.0),)), {made.version: model})
        app = create_app(predictor, name=made.name, response=response)
        try:
            with _listening(lambda started, stop: serve(app, "127.0.0.1", 0, started=started, stop=stop)) as port:
                yield Stage(Asking(f"http://127.0.0.1:{port}"), log, response)
        finally:
            log.close()


@contextmanager
def _listening(listen: Callable[[Callable[[int], None], threading.Event], None]) -> Iterator[int]:
    """A server in a thread of its own, until the end of the block; its port."""
    port, stop = Future[int](), threading.Event()
    with ThreadPoolExecutor(1, "rehearsal") as pool:
        served = pool.submit(listen, port.set_result, stop)
        served.add_done_callback(lambda done: port.cancel())
        try:
            yield port.result(_START_SECONDS)
        finally:
            stop.set()
            served.result()


def _answers(stage: Stage, model: Model, longest: float) -> float:
    fastest, given = float("inf"), []
    for _ in range(TIMES):
        answer = right(stage.ask.post("/predict", model.manifest.example), stage.response.score, _score(model))
        fastest = min(fastest, answer.seconds)
        given.append((answer.body["id"], answer.body[stage.response.score]))
    if [(record.id, record.score) for record in stage.log.read()] != given:
        raise ReleaseError("its answers are not what the prediction log holds")
    if fastest > longest:
        raise ReleaseError(f"it took {1000 * fastest:.0f} ms for one row, {1000 * longest:.0f} ms are allowed")
    return fastest


def _agrees(stage: Stage, model: Model) -> None:
    """MLflow's protocol gives the same."""
    answer = stage.ask.post("/invocations", {"dataframe_records": [model.manifest.example]})
    rows = answer.body.get("predictions", [{}]) if isinstance(answer.body, dict) else [{}]
    right(Answered(answer.status, rows[0] if answer.status == 200 else answer.body, answer.seconds),
          stage.response.score, _score(model))  # fmt: skip


def _refuses(stage: Stage, model: Model) -> None:
    answer = stage.ask.post("/predict", {**model.manifest.example, UNKNOWN: "?"})
    if answer.status != 422:
        raise ReleaseError(f"it did not refuse a row with a column that the table does not have ({answer.told})")


def right(answer: Answered, name: str, expected: float) -> Answered:
    """Passes an answer of status 200 whose score, under that name, is the expected one to the last bit."""
    if answer.status != 200 or not isinstance(answer.body, dict) or name not in answer.body:
        raise ReleaseError(f"its example was not answered ({answer.told})")
    found = answer.body[name]
    if found != expected:
        raise ReleaseError(
            f"it answers its example with {found!r} over HTTP, and with {expected!r} when asked directly"
        )
    return answer


def _score(model: Model) -> float:
    return float(model.one(model.manifest.example).score)
