"""The pieces of a file scored by an executor's workers, wherever they are.

The file is read, and the answers written, by the process that was asked, so that workers need no way to either. The
model travels once as the bytes of its bundle, and each worker process opens it once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from everfit.flow.bulk import Answer, Answers, Piece, packed
from everfit.flow.scoring import unlogged
from everfit.ports import Executor
from everfit.records.release import Arm, RouteTable
from everfit.serving.arms import Snapshot
from everfit.serving.model import open_model


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a worker needs beside the rows: the champion's bundle, as bytes by the name of the file, and by what it
    is known; the types it may hold beyond scikit-learn's; and whose answers these are, by what name of the score."""

    bundle: Mapping[str, NDArray[np.uint8]]
    digest: str
    trusted: tuple[str, ...]
    arm: Arm
    score_name: str


def job(bundle: Path, digest: str, trusted: tuple[str, ...], arm: Arm, score_name: str) -> Job:
    """Reads the bundle's folder."""
    files = {
        path.relative_to(bundle).as_posix(): np.fromfile(path, dtype=np.uint8)
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
    }
    return Job(files, digest, trusted, replace(arm, weight=1.0), score_name)


def elsewhere(executor: Executor, given: Job) -> Answers:
    """For `bulk.score`: the answers of `scoring.unlogged`, by the executor's workers."""

    def answers(pieces: Iterable[Piece]) -> Iterator[bytes]:
        return executor.map(_answered, pieces, given)

    return answers


def _answered(given: Job, piece: Piece) -> bytes:
    if given.digest not in _opened:
        _opened.clear()
        _opened[given.digest] = _open(given)
    return packed(_opened[given.digest](*piece))


# The one that this worker opened last: arrays in a job cannot be hashed, so no cache of functools serves.
_opened: dict[str, Answer] = {}


def _open(given: Job) -> Answer:
    with tempfile.TemporaryDirectory(prefix="everfit-") as temporary:
        for name, content in given.bundle.items():
            path = Path(temporary, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            content.tofile(path)
        model = open_model(Path(temporary), given.trusted)
    table = RouteTable(1, (given.arm,))
    return unlogged(Snapshot(table, {given.arm.version: model}), given.score_name)
