"""A bundle opened and ready to answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from everfit.errors import RequestError, StepFailed, StorageError
from everfit.evaluation.calibration import calibrated
from everfit.features.compute import compute
from everfit.features.encoder import transform
from everfit.features.functions import Functions, inputs, load
from everfit.ports import Scorer
from everfit.records.model import Manifest
from everfit.records.table import Row, Task, Value
from everfit.serving.compiled_rows import CompiledRows, open_compiled
from everfit.serving.rows import Columns, RawRow, RowParser
from everfit.serving.sent import Sent
from everfit.serving.values import word
from everfit.training.bundle import open_bundle, read_estimator

FUNCTIONS = "features.py"
_logger = logging.getLogger("everfit.serving")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a model says about one row; the fields are those of `Prediction`."""

    prediction: str | float
    score: float
    probabilities: Mapping[str, float] | None
    features: Row


class ColumnAnswers(msgspec.Struct, frozen=True, gc=False):
    """The same about many rows, a list a column; a feature that is None is the column of its name as it was sent."""

    predictions: Sequence[str | float]
    scores: Sequence[float]
    probabilities: Mapping[str, Sequence[float]] | None
    features: Mapping[str, Sequence[Value] | None]


@dataclass(frozen=True, slots=True)
class Model:
    """A version's manifest, feature functions, calibrated estimator and parser of its rows; never changed, so safe in
    threads."""

    manifest: Manifest
    functions: Functions
    scorer: Scorer
    parser: RowParser
    compiled: CompiledRows | None = None

    def one(self, row: RawRow, stored: bool = False) -> Answer:
        """The answer to one row, in microseconds where the model is compiled and reads columns only: what a hot route
        calls. One that was `stored` may hold columns that came after the model. Safe from many threads. Raises what
        `answer` raises."""
        found = self.compiled.one(row, stored) if self.compiled is not None else None
        if found is None:
            return self._long_way([self.parser.known(row) if stored else row])[0]
        return self.answered(*found)

    def answered(self, outputs: list[float], features: Row) -> Answer:
        """What the outputs for one row say, as `CompiledScorer.one` has them. Raises StepFailed where one of them is no
        finite number."""
        total = sum(outputs)
        if not total - total == 0:
            raise _not_finite(self.manifest)
        if len(outputs) > 1:
            share = dict(zip(self.manifest.classes, outputs, strict=True))
            best = max(outputs)
            return Answer(self.manifest.classes[outputs.index(best)], best, share, features)
        score = outputs[0]
        if not self.manifest.classes:
            return Answer(score, score, None, features)
        return Answer(self.manifest.classes[score >= self.manifest.threshold], score, None, features)

    def columns(self, sent: Sent) -> ColumnAnswers | None:
        """The answers to rows that came as columns; None where `answer` is to be asked. Raises StepFailed when the
        estimator gives no finite number."""
        found = self.compiled.columns(sent) if self.compiled is not None else None
        if found is None:
            return None
        scores, features = found
        demand_finite(self.manifest, scores)
        predictions, score = self._judged(scores)
        shares = None
        if self.manifest.task is Task.MULTICLASS:
            shares = dict(zip(self.manifest.classes, scores.T.tolist(), strict=True))
        return ColumnAnswers(predictions, score, shares, features)

    def answer(self, rows: Sequence[RawRow]) -> list[Answer]:
        """One answer a row. Raises RequestError for rows that the schema or a check refuses, StepFailed when a
        feature function raises or the estimator gives no finite number."""
        if len(rows) == 1:
            return [self.one(rows[0])]
        found = self.compiled.many(rows) if self.compiled is not None else None
        if found is None:
            return self._long_way(rows)
        demand_finite(self.manifest, found[0])
        return self._answers(*found)

    def _long_way(self, rows: Sequence[RawRow]) -> list[Answer]:
        features = self.features(self.parser.columns(rows))
        return self._answers(self._score(features), _rows(features, len(rows)))

    def _answers(self, scores: NDArray[np.float64], features: Sequence[Row]) -> list[Answer]:
        shares: Iterable[Mapping[str, float] | None] = repeat(None)
        if self.manifest.task is Task.MULTICLASS:
            shares = [dict(zip(self.manifest.classes, row, strict=True)) for row in scores.tolist()]
        return [
            Answer(prediction, score, share, read)
            for (prediction, score), share, read in zip(self.judge(scores), shares, features, strict=False)
        ]

    def judge(self, scores: NDArray[np.float64]) -> list[tuple[str | float, float]]:
        """Prediction and score of each row of scores: the class from the threshold on (binary) or the most probable
        one (several classes), with its probability as `Prediction` has it; the value twice for regression."""
        return list(zip(*self._judged(scores), strict=True))

    def _judged(self, scores: NDArray[np.float64]) -> tuple[list[str | float], list[float]]:
        if self.manifest.task is Task.REGRESSION:
            return scores.tolist(), scores.tolist()
        if self.manifest.task is Task.BINARY:
            score, places = scores[:, -1], scores[:, -1] >= self.manifest.threshold
        else:
            score, places = scores.max(axis=1), scores.argmax(axis=1)
        return list(map(self.manifest.classes.__getitem__, places.tolist())), score.tolist()

    def scores(self, columns: Columns) -> NDArray[np.float64]:
        """Raw columns as arrays of shape (rows,), those of `parser.required`, to scores: (rows, classes)
        probabilities, or (rows,) values for regression."""
        return self._score(self.features(columns))

    def features(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """The features that the model reads, in its order, from the raw columns."""
        return compute(self.functions, columns, self.manifest.features)

    def entity(self, row: RawRow) -> str | None:
        """Whom the row is about, None where it does not say. Raises RequestError when that is no single value."""
        column = self.manifest.entity
        if column is None or row.get(column) is None:
            return None
        try:
            return word(row[column])
        except ValueError as error:
            raise RequestError(f"{column} {error}", where=column, fix="send the entity as text") from error

    def _score(self, features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        scores: NDArray[np.float64]
        if self.compiled is not None:
            scores = self.compiled.score(features)
        else:
            scores = self.scorer.score(transform(self.manifest.encoder, features))
        demand_finite(self.manifest, scores)
        return scores


def told(manifest: Manifest, outputs: list[float], rows: int) -> ColumnAnswers:
    """What the outputs for a few rows say, one behind the other, without features. Raises StepFailed as
    `Model.answered` does."""
    total, classes, width = sum(outputs), manifest.classes, len(outputs) // rows
    if not total - total == 0:
        raise _not_finite(manifest)
    if width > 1:
        shares = [outputs[i : i + width] for i in range(0, len(outputs), width)]
        scores = list(map(max, shares))
        best = [classes[share.index(score)] for share, score in zip(shares, scores, strict=True)]
        return ColumnAnswers(best, scores, {name: outputs[k::width] for k, name in enumerate(classes)}, {})
    if not classes:
        return ColumnAnswers(outputs, outputs, None, {})
    threshold = manifest.threshold
    return ColumnAnswers([classes[score >= threshold] for score in outputs], outputs, None, {})


def demand_finite(manifest: Manifest, scores: NDArray[np.float64]) -> None:
    """Raises StepFailed for scores that are no finite numbers."""
    if not np.isfinite(scores).all():
        raise _not_finite(manifest)


def _not_finite(manifest: Manifest) -> StepFailed:
    return StepFailed(
        "the estimator gave a score that is no finite number",
        where=manifest.model,
        fix="train the model again; `everfit rollback` returns to the version before",
    )


def open_model(bundle: Path, trusted: Sequence[str] = ()) -> Model:
    """The model of a bundle folder, after every file's hash was verified and its own example was answered.

    `trusted` names estimator types beyond scikit-learn's own, from the project and never from the bundle. Raises
    StorageError for a bundle that is damaged or not trusted, and whatever the example's answer raises.
    """
    manifest = open_bundle(bundle)
    source = bundle / FUNCTIONS
    functions = load(source.read_text(encoding="utf-8") if FUNCTIONS in manifest.files else "", FUNCTIONS)
    required = inputs(functions, manifest.features)
    lacking = [name for name in required if name not in manifest.schema.names]
    if lacking:
        raise StorageError(
            f"the model reads {lacking[0]!r}, which is neither in its schema nor in its {FUNCTIONS}",
            where=str(bundle),
            fix="train and register the model again",
        )
    parser = RowParser(manifest.schema, required, manifest.checks)
    compiled = _compiled(bundle, manifest, parser, set(required) != set(manifest.features))
    if compiled is not None:
        model = Model(manifest, functions, compiled.scorer, parser, compiled)
    else:
        scorer = calibrated(read_estimator(bundle, trusted), manifest.calibration)
        model = Model(manifest, functions, scorer, parser)
    model.one(manifest.example)
    return model


def prepare(model: Model) -> None:
    """Lets it answer its example many times over, so that what is made when the first of many rows come is made now,
    and gives back what the making took."""
    if model.compiled is not None:
        from everfit.compiled import compiler_memory
        from everfit.compiled.lanes import ROWS

        model.answer([model.manifest.example] * ROWS)
        compiler_memory.release()


def _compiled(bundle: Path, manifest: Manifest, parser: RowParser, computed: bool) -> CompiledRows | None:
    """The compiled form; None where there is none, or where this machine cannot make code of it."""
    try:
        return open_compiled(bundle, manifest, parser, computed)
    except (ImportError, OSError, RuntimeError) as error:
        _logger.warning("served without the compiled form: %s: %s", type(error).__name__, error)
        return None


def _rows(features: Mapping[str, NDArray[Any]], rows: int) -> list[Row]:
    """Features by column to features by row, as JSON has them."""
    if not features:
        return [{} for _ in range(rows)]
    listed = [_listed(array) for array in features.values()]
    return [dict(zip(features, values, strict=True)) for values in zip(*listed, strict=True)]


def _listed(array: NDArray[Any]) -> list[Value]:
    values: list[Value] = array.tolist()
    # Only NaN differs from itself.
    return [None if value != value else value for value in values]
