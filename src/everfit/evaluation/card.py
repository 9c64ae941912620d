"""The model card after Mitchell et al. (2019): what there is to say about a model, as data, for whoever writes it down.

`card_markdown` and `card_page` write the same card for people, `document` for machines; each shows all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from everfit.evaluation.metric_names import higher_is_better
from everfit.records.calibration import Isotonic, Method, Platt
from everfit.records.evaluation import Slice
from everfit.records.export import ExportedForm
from everfit.records.model import Candidate, Manifest
from everfit.records.profile import ColumnProfile
from everfit.records.table import Task


@dataclass(frozen=True, slots=True)
class Code:
    """A value as it stands in the data or the configuration."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Short:
    """A number as short as it can be written."""

    value: float


# A whole number is written with thousands apart, a float with four decimals, True as passed and False as failed, None
# as a dash.
Cell = str | int | float | bool | Code | Short | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below their headers; a table of two headers that are empty is a list of names and values."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A section: what is said, then points, a table, and the names of its pictures."""

    key: str
    title: str
    text: str = ""
    points: tuple[str, ...] = ()
    table: Table | None = None
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """All of it. `verdict` follows the summary's first sentence and says whether the gates were `passed`."""

    title: str
    summary: str
    verdict: str
    passed: bool
    parts: tuple[Part, ...]


def card(manifest: Manifest, candidates: Sequence[Candidate] = ()) -> Card:
    """The card of a model from its manifest and the candidates that it was chosen from; it states what these hold and
    nothing else, and the same records give the same card."""
    profile, passed = manifest.profile, manifest.gates.passed
    parts = (
        _warnings(manifest),
        _metrics(manifest),
        _gates(manifest),
        _candidates(manifest, candidates),
        _calibration(manifest),
        _threshold(manifest),
        _slices(manifest),
        _importance(manifest),
        _shap(manifest),
        _model(manifest),
        _features(manifest),
        _data(manifest),
        _lineage(manifest),
        _limits(manifest),
    )
    return Card(
        title=manifest.model,
        summary=f"Predicts {manifest.target} from {len(manifest.features)} features by {manifest.family}.",
        verdict=f"It {'passed' if passed else 'did not pass'} its quality gates; {profile.metric} is "
        f"{profile.expected:.4f} on {profile.labels:,} test rows.",
        passed=passed,
        parts=tuple(part for part in parts if part is not None),
    )


def document(card: Card) -> dict[str, Any]:
    """The card for machines: each table as a list of objects, or one object for names and values; figures in full."""
    return {
        "title": card.title,
        "summary": card.summary,
        "verdict": card.verdict,
        "passed": card.passed,
        "sections": {part.key: _section(part) for part in card.parts},
    }


def _section(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"title": part.title}
    found |= {"text": part.text} if part.text else {}
    found |= {"points": list(part.points)} if part.points else {}
    if part.table is not None:
        rows = [[cell.value if isinstance(cell, Code | Short) else cell for cell in row] for row in part.table.rows]
        named = part.table.headers == ("", "")
        found["values"] = {str(name): value for name, value in rows} if named else _records(part.table.headers, rows)
    return found | ({"pictures": list(part.pictures)} if part.pictures else {})


def _records(headers: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(headers, row, strict=True)) for row in rows]


def _pairs(rows: Iterable[tuple[Cell, Cell]]) -> Table:
    return Table(("", ""), tuple(rows))


def _warnings(manifest: Manifest) -> Part | None:
    if not manifest.leakage:
        return None
    rows = tuple((Code(w.column) if w.column else None, str(w.kind), w.reason) for w in manifest.leakage)
    text = "What looks as if the model were told the answer. Is it known when a prediction is made?"
    return Part("leakage", "Leakage warnings", text, table=Table(("Column", "Warning", "Why"), rows))


def _model(manifest: Manifest) -> Part:
    rows: list[tuple[Cell, Cell]] = [("Family", manifest.family), ("Task", manifest.task.value)]
    rows.append(("Target", Code(manifest.target)))
    if manifest.task is not Task.REGRESSION:
        rows.append(("Classes, in the order of the scores", ", ".join(manifest.classes)))
    if manifest.entity:
        rows.append(("A row is about", Code(manifest.entity)))
    if manifest.exactness is not None:
        rows.append(("Served by", _served(manifest)))
    rows += [(f"Exported as {each.form}", _exported(each)) for each in manifest.exports]
    rows += [(f"Setting {name}", Code(value)) for name, value in sorted(manifest.params.items())]
    return Part("model", "Model", table=_pairs(rows))


def _served(manifest: Manifest) -> str:
    found = manifest.exactness
    if found is None or not found.holds:
        return f"the training library, for its compiled form was refused: {found.reason if found else ''}"
    seen = f"{found.rows:,} rows, {found.thresholds:,} of them at or beside a split"
    return f"its compiled form; over {seen}, the greatest difference to the library is {found.difference:.1g}"


def _exported(found: ExportedForm) -> str:
    if not found.file:
        return f"refused: {found.reason}"
    if not found.rows:
        return f"export/{found.file}, the bundle's own file"
    return f"export/{found.file}; over {found.rows:,} rows, the greatest difference is {found.difference:.1g}"


def _data(manifest: Manifest) -> Part:
    data = manifest.lineage.dataset
    rows: list[tuple[Cell, Cell]] = [("Source", Code(data.source)), ("Rows", data.rows), ("Columns", data.columns)]
    rows += [("Fingerprint of the content", Code(data.fingerprint)), ("Quality score", manifest.quality)]
    return Part("data", "Data", table=_pairs(rows))


def _features(manifest: Manifest) -> Part:
    known = {column.name: column for column in manifest.profile.columns}
    rows = tuple((Code(name), *_described(known.get(name))) for name in manifest.features)
    return Part("features", "Features", table=Table(("Feature", "Kind", "Missing", "Values"), rows))


def _described(column: ColumnProfile | None) -> tuple[str | None, str | None, str | None]:
    if column is None:
        return None, None, None
    missing = f"{column.nulls / column.rows:.1%}" if column.rows else None
    if column.counts is not None:
        return column.kind.value, missing, f"{len(column.counts):,} levels"
    if column.minimum is None or column.maximum is None:
        return column.kind.value, missing, None
    return column.kind.value, missing, f"{column.minimum:g} to {column.maximum:g}"


def _candidates(manifest: Manifest, candidates: Sequence[Candidate]) -> Part | None:
    if not candidates:
        return None
    metric = candidates[0].metric
    sign = 1 if higher_is_better(metric) else -1
    best = sorted(candidates, key=lambda each: (each.family != manifest.family, -each.score))
    rows = []
    for each in best:
        known = isfinite(each.score)  # a family that could not be trained has no score
        found = (sign * each.score, each.spread) if known else (None, None)
        rows.append((each.family, *found, each.trials, each.failed))
    read = f"{manifest.searched_rows:,} of the training rows" if manifest.searched_rows else "the training rows"
    text = f"Each family's best setting by cross-validation on {read}; {manifest.family} was chosen, fitted on all."
    headers = ("Family", f"{metric}, mean", "Standard deviation", "Trials", "Failed")
    return Part("candidates", "Candidates", text, table=Table(headers, tuple(rows)))


def _metrics(manifest: Manifest) -> Part:
    found = manifest.evaluation
    rows = []
    for name in dict.fromkeys((*found.test, *found.train)):
        around = found.intervals.get(name)
        bounds = (around.low, around.high) if around else (None, None)
        folds = (found.cv.get(f"mean_{name}"), found.cv.get(f"std_{name}"))
        rows.append((Code(name), found.test.get(name), *bounds, found.train.get(name), *folds))
    text = "Nothing was chosen on the test rows. From and to are the 95% interval of the test metric."
    headers = ("Metric", "Test", "From", "To", "Training", "Cross-validated", "Deviation")
    pictures = ("roc_curve.png", "confusion_matrix.png") if manifest.classes else _VALUES
    return Part("metrics", "Metrics", text, table=Table(headers, tuple(rows)), pictures=pictures)


_VALUES = ("predicted_vs_actual.png", "residuals.png")


def _calibration(manifest: Manifest) -> Part | None:
    found = manifest.calibration
    if found is None or manifest.task is Task.REGRESSION:
        return None
    tried = tuple((name, found.brier[name], found.log_loss.get(name)) for name in found.brier)
    text = f"{_METHODS[found.method]}: {found.reason}." + "".join(
        f" Of {name}: {_curve(each)}." for name, each in zip(_calibrated(manifest), found.curves, strict=True)
    )
    headers = ("Method", "Brier, cross-validated", "Log loss, cross-validated")
    return Part("calibration", "Calibration", text, table=Table(headers, tried) if tried else None, pictures=_CURVE)


_CURVE = ("calibration.png",)
_METHODS = {
    Method.NONE: "The estimator's own probabilities",
    Method.ISOTONIC: "Isotonic regression on out-of-fold scores",
    Method.PLATT: "Platt's line on the logit of out-of-fold scores",
}


def _calibrated(manifest: Manifest) -> tuple[str, ...]:
    """The classes that have a curve."""
    curves = manifest.calibration.curves if manifest.calibration else ()
    return () if not curves else manifest.classes if len(curves) > 1 else manifest.classes[-1:]


def _curve(record: Isotonic | Platt) -> str:
    if isinstance(record, Platt):
        return f"slope {record.slope:.4g}, intercept {record.intercept:.4g}"
    return f"{len(record.x)} knots, from {record.y[0]:.4g} to {record.y[-1]:.4g}"


def _threshold(manifest: Manifest) -> Part | None:
    if manifest.task is not Task.BINARY:
        return None
    rows: list[tuple[Cell, Cell]] = [
        (f"{manifest.classes[-1]} is predicted from a score of", Short(manifest.threshold))
    ]
    found = manifest.threshold_choice
    if found is not None:
        rows.append(("Chosen for", found.objective))
        rows += [(f"{name} out of fold", value) for name, value in found.reached.items()]
    return Part("threshold", "Threshold", table=_pairs(rows))


def _slices(manifest: Manifest) -> Part | None:
    found = manifest.evaluation.slices
    if found is None:
        return None
    text = (
        f"{found.metric} on parts of the test rows, each against all other rows, the worst first. {len(found.marked)} "
        f"of {found.judged} parts are worse beyond chance; {found.small} more were too small to be judged."
    )
    binary = manifest.task is Task.BINARY
    means = ("Mean score", "Observed share") if binary else ("Mean prediction", "Mean value")
    headers = ("Column", "Level", "Rows", found.metric, "From", "To", "Against the rest", "Worse beyond chance", *means)
    rows = tuple(_sliced(one) for one in found.worst)
    return Part("slices", "Slices", text, table=Table(headers, rows) if rows else None)


def _sliced(one: Slice) -> tuple[Cell, ...]:
    marked = "yes" if one.marked else "no"
    named = (Code(one.column), Code(one.level), one.rows)
    return (*named, one.value, one.interval.low, one.interval.high, one.difference, marked, one.stated, one.observed)


def _gates(manifest: Manifest) -> Part:
    results = manifest.gates.results
    if not results:
        return Part("gates", "Quality gates", "No gate was judged, so the model may not be registered.")
    rows = tuple((Code(each.gate), each.passed, each.reason) for each in results)
    return Part("gates", "Quality gates", table=Table(("Gate", "Result", "Why"), rows))


def _importance(manifest: Manifest) -> Part:
    found = manifest.evaluation.importance
    if not found:
        return Part("importance", "Feature importance", "Not measured.")
    rows = tuple((place, Code(each.feature), each.value) for place, each in enumerate(found, start=1))
    text = (
        "How far the test score falls when the feature's values are shuffled. It does not say what causes the target."
    )
    table = Table(("Place", "Feature", "Fall of the score"), rows)
    return Part("importance", "Feature importance", text, table=table, pictures=("feature_importance.png",))


def _shap(manifest: Manifest) -> Part | None:
    if not manifest.shap:
        return None
    rows = tuple((place, Code(each.feature), each.value) for place, each in enumerate(manifest.shap, start=1))
    text = (
        "The mean size of what a feature adds to the model's output, over test rows: to the raw output before its link "
        "(log-odds, for instance), for a blend to its score."
    )
    return Part("shap", "SHAP values", text, table=Table(("Place", "Feature", "Mean size"), rows))


def _lineage(manifest: Manifest) -> Part:
    lineage = manifest.lineage
    rows: list[tuple[Cell, Cell]] = [
        ("Dataset", Code(lineage.dataset.fingerprint)),
        ("Feature functions", Code(lineage.features_hash)),
        ("Configuration", Code(lineage.config_hash)),
        ("Code", Code(lineage.code_hash)),
        ("Seed", Code(lineage.seed)),
        ("Parent version", lineage.parent),
    ]
    rows += [(f"Package {name}", Code(version)) for name, version in sorted(lineage.packages.items())]
    return Part("lineage", "Lineage", table=_pairs(rows))


def _limits(manifest: Manifest) -> Part:
    target, rows = manifest.target, f"{manifest.profile.labels:,}"
    points = [
        f"Intended to predict {target} for rows like the training rows: same columns, same meaning, same population.",
        f"The test metrics come from {rows} rows that were not trained on, and hold while the data stay as they were.",
        "A missing number is replaced by a typical one from the training rows.",
        "A category that did not occur in training is treated as missing.",
    ]
    if manifest.evaluation.slices is None:
        points.append("How the metrics differ between groups of people was not measured here.")
    if not manifest.gates.passed:
        points.insert(0, "The model did not pass its quality gates and is not fit for use.")
    return Part("limits", "Intended use and limits", points=(*points, *_gap(manifest)))


def _gap(manifest: Manifest) -> list[str]:
    metric, found = manifest.profile.metric, manifest.evaluation
    if metric not in found.train or metric not in found.test:
        return []
    train, test = found.train[metric], found.test[metric]
    return [f"{metric} is {train:.4f} on training rows and {test:.4f} on test rows: a gap of {abs(train - test):.4f}."]
