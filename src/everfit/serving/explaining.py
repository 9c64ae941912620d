"""Why a logged prediction came out as it did: from its record and the bundle of the version that answered it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import file
from everfit.errors import RequestError, StepFailed, UnknownPrediction
from everfit.explaining import background
from everfit.explaining.form import Parts
from everfit.explaining.sampled import sampled
from everfit.features.encoder import output_features, transform
from everfit.ports import PredictionLog
from everfit.records.explanation import Contribution, Explanation, Method, Unit
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED, PredictionRecord
from everfit.records.table import Task
from everfit.serving.compiled_rows import FILE
from everfit.serving.model import Model

# A version's model and the folder of its bundle.
Opened = tuple[Model, Path]
Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]

_KEPT = 2
_SAME = 1e-9
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Explained:
    """A record of the log, and what its score is made of."""

    record: PredictionRecord
    explanation: Explanation


class Explainer:
    """Explains predictions of `log`. `opened` gives a version, from memory or from where its bundle is kept. Safe
    between threads; one explanation is made at a time, so that requests keep the other processors."""

    def __init__(self, log: PredictionLog, opened: Callable[[int], Opened]) -> None:
        self._log = log
        self._opened = opened
        self._known: OrderedDict[int, _Version] = OrderedDict()
        self._turn = threading.Lock()

    def explain(self, identity: str) -> Explained:
        """Raises UnknownPrediction where the log has no such id, RequestError for a prediction that failed, StepFailed
        when the version does not give the record's score any more, and what `opened` raises where it is gone."""
        with self._turn:
            record = find(self._log, identity)
            return Explained(record, self._of(record.version).explain(record))

    def _of(self, version: int) -> _Version:
        if version not in self._known:
            self._known[version] = _Version(*self._opened(version))
        self._known.move_to_end(version)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[version]


def find(log: PredictionLog, identity: str) -> PredictionRecord:
    """The record with this id, whose first digits say when it was made, so that little of the log is read. Raises
    UnknownPrediction."""
    unknown = UnknownPrediction(
        f"the prediction log holds no {identity[:80]!r}",
        where="id",
        fix="send the `id` of an answer; predictions older than `serving.log.keep` are gone",
    )
    try:
        moment = UUID(identity.removesuffix(MIRRORED)).int >> 80
        since = datetime.fromtimestamp(moment / 1000, UTC) - _MILLISECOND
        until = since + 3 * _MILLISECOND
    except (ValueError, OverflowError, OSError):
        raise unknown from None
    for record in log.read(since, until):
        if record.id == identity:
            return record
    raise unknown


class _Version:
    """A version's model, with what its explanations have in common."""

    def __init__(self, model: Model, bundle: Path) -> None:
        self._model = model
        self._manifest = manifest = model.manifest
        self._marginals = background.marginals(manifest.profile, manifest.encoder)
        self._names = output_features(manifest.encoder)
        self._parts = self._taken_apart(bundle) if model.compiled is not None else None

    def explain(self, record: PredictionRecord) -> Explanation:
        """From the features that the record holds, as they were masked."""
        if record.score is None:
            fix = f"what the log says of it: {record.error}"
            raise RequestError("the prediction failed, so it has no score to explain", where=record.id, fix=fix)
        columns, place = _columns(record, self._manifest), _place(record, self._manifest)
        self._check(record, float(self._scores(columns, place)[0]))
        about = self._manifest.classes[place] if self._manifest.classes else None
        if self._parts is None:
            return self._drawn(record, columns, place, about)
        return self._exact(self._parts, record, columns, about)

    def _exact(self, parts: Parts, record: PredictionRecord, columns: Columns, about: str | None) -> Explanation:
        output = self._manifest.classes.index(about or "") if self._manifest.task is Task.MULTICLASS else 0
        found = parts.apart(transform(self._manifest.encoder, columns)[0], output)
        names = np.array(self._names)
        shares = [
            Contribution(name, record.features.get(name), float(found.amounts[names == name].sum())) for name in columns
        ]
        total = found.base + float(found.amounts.sum())
        return Explanation(found.method, found.unit, about, found.base, total, _greatest_first(shares))

    def _drawn(self, record: PredictionRecord, columns: Columns, place: int, about: str | None) -> Explanation:
        names = tuple(columns)
        found = sampled(
            lambda rows: self._scores(rows, place),
            columns,
            lambda rows, random: background.drawn(self._marginals, rows, random),
            names,
        )
        shares = [
            Contribution(name, record.features.get(name), amount, error)
            for name, amount, error in zip(names, found.amounts.tolist(), found.errors.tolist(), strict=True)
        ]
        unit = Unit.PROBABILITY if about is not None else Unit.VALUE
        return Explanation(Method.SAMPLED, unit, about, found.base, found.output, _greatest_first(shares))

    def _scores(self, features: Columns, place: int) -> Floats:
        """(rows,) scores of one class, or values."""
        model = self._model
        if model.compiled is not None:
            scores: Floats = model.compiled.score(features)
        else:
            scores = model.scorer.score(transform(self._manifest.encoder, features))
        return scores if scores.ndim == 1 else scores[:, place]

    def _check(self, record: PredictionRecord, score: float) -> None:
        answered = record.score or 0.0
        if not abs(score - answered) <= _SAME * max(1.0, abs(score)):
            raise StepFailed(
                f"version {record.version} now scores the logged features {score!r}, and answered {answered!r}",
                where=record.id,
                fix="restore the version's bundle; `everfit rebuild` proves what it was",
            )

    def _taken_apart(self, bundle: Path) -> Parts | None:
        """The compiled form, unless it has a part that only drawing explains."""
        encoder = self._manifest.encoder

        def mean(terms: Callable[[Floats], Floats]) -> Floats:
            return background.means(self._marginals, lambda rows: terms(transform(encoder, rows)), self._names)

        try:
            return Parts(file.read(bundle / FILE), mean)
        except ValueError:
            return None


def _columns(record: PredictionRecord, manifest: Manifest) -> Columns:
    """The record's features as columns of one value each."""
    found: dict[str, NDArray[Any]] = {}
    for encoding in manifest.encoder.numeric:
        value = record.features.get(encoding.name)
        found[encoding.name] = np.array([np.nan if value is None else float(value)])
    for level in manifest.encoder.categorical:
        found[level.name] = np.array([record.features.get(level.name)], dtype=object)
    return found


def _place(record: PredictionRecord, manifest: Manifest) -> int:
    """The score column that the record's score stands in."""
    if manifest.task is Task.MULTICLASS:
        return manifest.classes.index(str(record.prediction))
    return len(manifest.classes) - 1


def _greatest_first(shares: list[Contribution]) -> tuple[Contribution, ...]:
    return tuple(sorted(shares, key=lambda one: (-abs(one.amount), one.feature)))
