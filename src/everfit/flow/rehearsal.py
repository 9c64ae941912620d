"""Before any traffic: a version is asked as a server would ask it, through all of one but the socket.

The bundle stands behind the server's own predictor, with a route table and a prediction log of its own.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from everfit.errors import EverfitError, ReleaseError, RequestError
from everfit.flow import smoke
from everfit.records.model import ModelVersion
from everfit.records.release import Arm, RouteTable
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor

_TIMES = 5
_UNKNOWN = "a column that no table has"


def rehearse(model: Model, made: ModelVersion, longest: float) -> None:
    """Asks the version alone as a server would: its example is answered and logged alike, within `longest` seconds,
    and a row that it cannot read is refused. Raises ReleaseError for what fails."""
    smoke.check(model, made)
    with tempfile.TemporaryDirectory(prefix="everfit-rehearsal-") as folder:
        log = JsonLinesLog(Path(folder))
        predictor = Predictor(log)
        predictor.swap(RouteTable(1, (Arm("champion", made.version, 1.0),)), {made.version: model})
        try:
            _answers(predictor, model, log, longest)
            _refuses(predictor, model)
        except EverfitError as error:
            raise ReleaseError(
                f"version {made.version} failed its rehearsal, and gets no traffic: {error.what}",
                where="release.guard",
                fix="train another version, or release an earlier one",
            ) from error
        finally:
            log.close()


def _answers(predictor: Predictor, model: Model, log: JsonLinesLog, longest: float) -> None:
    fastest, ids = float("inf"), []
    for _ in range(_TIMES):
        began = time.perf_counter()
        (answer,) = predictor.predict([model.manifest.example])
        fastest = min(fastest, time.perf_counter() - began)
        ids.append((answer.id, answer.score))
    if [(record.id, record.score) for record in log.read()] != ids:
        raise ReleaseError("its answers are not what the prediction log holds")
    if fastest > longest:
        raise ReleaseError(f"it took {1000 * fastest:.0f} ms for one row, {1000 * longest:.0f} ms are allowed")


def _refuses(predictor: Predictor, model: Model) -> None:
    try:
        predictor.predict([{**model.manifest.example, _UNKNOWN: "?"}])
    except RequestError:
        return
    raise ReleaseError("it accepted a row with a column that the table does not have")
