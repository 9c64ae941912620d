"""Before any traffic: a version answers its own example as it did in training, through all of a server but the socket.

`check` is what every serving process does when it loads a version. `rehearse` is what a release does first: the bundle
behind the server's own predictor, with a route table and a prediction log of its own.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from everfit.errors import EverfitError, ReleaseError, RequestError, StorageError
from everfit.records.model import EXAMPLE_SCORE, ModelVersion
from everfit.records.release import Arm, RouteTable
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor

_TIMES = 5
_UNKNOWN = "a column that no table has"


def recorded(model: Model) -> str:
    """The score of the model's own example, every bit of it, as a version's tag keeps it."""
    return float(model.one(model.manifest.example).score).hex()


def check(model: Model, made: ModelVersion) -> None:
    """Passes a model that answers its example to the bit as training recorded it. Raises StorageError."""
    expected = made.tags.get(EXAMPLE_SCORE)
    if expected is not None and (found := recorded(model)) != expected:
        was, now = float.fromhex(expected), float.fromhex(found)
        raise StorageError(
            f"version {made.version} answers its own example with {now!r}, and with {was!r} when it was trained",
            where=f"artifact {made.bundle_hash[:12]}",
            fix="serve it with the libraries and on a machine of the kind that trained it, or train it again here",
        )


def rehearse(model: Model, made: ModelVersion, longest: float) -> None:
    """Asks the version alone as a server would: its example is answered and logged alike, within `longest` seconds,
    and a row that it cannot read is refused. Raises ReleaseError for what fails."""
    check(model, made)
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
