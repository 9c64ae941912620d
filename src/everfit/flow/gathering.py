"""What a verdict reads, gathered look by look: the prediction log is read from where the look before left off.

The counts so far are a file of this machine, replaced as a whole and sealed by a hash. Without it, or where it is of
another release or damaged, the log is read from the release's start, with the same result. A record may reach the log
a little after its time, so that the last minute or two are counted anew at every look. What arrives later than that is
found when a look is to be acted on: then everything is counted from the start.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit import atomic
from everfit.flow import trial as evidence
from everfit.flow.holding import Counted
from everfit.flow.trial import SETTLED, Trial
from everfit.records.model import Manifest
from everfit.records.release import ReleaseState, Strategy
from everfit.rollout import folding, tally
from everfit.rollout.criteria import Scale
from everfit.rollout.folding import Arms, Fold
from everfit.rollout.tally import ArmTally, StepTally

_SEAL = 32  # bytes of a SHA-256
_COUNTS = ("requests", "errors", "failures")


class Gathering:
    """The counts of the release under way, kept in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = Counted()  # of a new champion
        self._manifest: tuple[int, Manifest] | None = None
        self._scale: tuple[str, Scale] | None = None
        self._fold: tuple[str, Fold] | None = None

    def scale(self, trial: Trial, state: ReleaseState) -> Scale:
        """What the counts mean; found once a release. Raises ReleaseError as `trial.scale` does."""
        key = f"{_key(state)} {trial.settings.verdict}"
        if self._scale is None or self._scale[0] != key:
            self._scale = key, evidence.scale(trial, state)
        return self._scale[1]

    def manifest(self, version: int, load: Callable[[], Manifest]) -> Manifest:
        """The champion's, loaded once."""
        if self._manifest is None or self._manifest[0] != version:
            self._manifest = version, load()
        return self._manifest[1]

    def counts(self, trial: Trial, state: ReleaseState, scale: Scale, now: datetime) -> tuple[StepTally, ...]:
        """The counts of every step until `now`. Where labels are counted, or shadows paired with what was answered, all
        of the release is read."""
        arms = Arms(state.champion or 0, state.challenger or 0, scale.thresholds)
        if scale.losses or state.strategy is Strategy.SHADOW:
            seen = evidence.observed(trial, state, scale.losses, now)
            return tally.tally(seen, evidence.steps(state, now), arms.champion, arms.challenger, scale.thresholds)
        key = f"{_key(state)} {hashlib.sha256(scale.thresholds.tobytes()).hexdigest()}"
        fold = self._known(key) or Fold(state.step_times[0].timestamp())
        seen = evidence.observed(trial, state, (), now, since=datetime.fromtimestamp(fold.until, UTC))
        # A whole second is the same time as a number and as a date.
        until = (now - SETTLED).replace(microsecond=0)
        if until.timestamp() - fold.until >= SETTLED.total_seconds():
            head, seen = seen.split(until.timestamp())
            fold = folding.grown(fold, head, evidence.steps(state, until), arms, until.timestamp())
            self._fold = key, fold
            # Not durable: what a loss of power takes is counted again.
            atomic.write(self._path, _packed(key, fold), what="the counts of the release")
        return folding.counts(fold, seen, evidence.steps(state, now), arms)

    def _known(self, key: str) -> Fold | None:
        if self._fold is None or self._fold[0] != key:
            self._fold = None
            with suppress(FileNotFoundError):
                self._fold = _unpacked(self._path.read_bytes())
        return self._fold[1] if self._fold is not None and self._fold[0] == key else None


def _key(state: ReleaseState) -> str:
    """Names a release, and what its entities' codes were made by."""
    began = state.step_times[0].isoformat()
    return json.dumps([state.champion, state.challenger, began, pl.__version__, np.__version__])


def _packed(key: str, fold: Fold) -> bytes:
    arms = [arm for step in fold.steps for arm in (step.champion, step.challenger)]
    file = io.BytesIO()
    np.savez(
        file,
        key=np.frombuffer(key.encode(), dtype=np.uint8),
        until=np.array([fold.until]),
        shares=np.array([step.share for step in fold.steps]),
        numbers=np.array([[getattr(arm, name) for name in _COUNTS] for arm in arms], dtype=np.int64),
        latencies=np.array([arm.latencies for arm in arms], dtype=np.int64),
        scores=np.array([arm.scores for arm in arms], dtype=np.int64),
        failed=fold.failed,
        scored=fold.scored,
    )
    content = file.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(text: bytes) -> tuple[str, Fold] | None:
    """The key and the fold; None for what is not whole."""
    seal, content = text[:_SEAL], text[_SEAL:]
    if hashlib.sha256(content).digest() != seal:
        return None
    with suppress(zipfile.BadZipFile, KeyError, ValueError), np.load(io.BytesIO(content), allow_pickle=False) as found:
        arms = [_arm(found, place) for place in range(len(found["numbers"]))]
        pairs = zip(found["shares"].tolist(), arms[::2], arms[1::2], strict=True)
        steps = tuple(StepTally(share, first, second) for share, first, second in pairs)
        return found["key"].tobytes().decode(), Fold(float(found["until"][0]), steps, found["failed"], found["scored"])
    return None


def _arm(found: Any, place: int) -> ArmTally:
    requests, errors, failures = found["numbers"][place].tolist()
    none: NDArray[np.int64] = np.zeros((0, tally.LOSSES), dtype=np.int64)
    return ArmTally(requests, errors, failures, found["latencies"][place], found["scores"][place], none)
