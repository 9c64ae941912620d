"""What a person reads about a model: the model card in Markdown and the classification report as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from everfit.evaluation.metrics import by_class, confusion
from everfit.records.compiled import Exactness
from everfit.records.model import Manifest
from everfit.records.profile import ColumnProfile
from everfit.records.table import Task

_NOTHING = "-"


def card(manifest: Manifest) -> str:
    """The model card as Markdown, after Mitchell et al. (2019), from the bundle's manifest alone.

    It states what the manifest holds and nothing else; the same manifest gives the same text.
    """
    sections = {
        "Model": _model(manifest),
        "Data": _data(manifest),
        "Features": _features(manifest),
        "Metrics": _metrics(manifest),
        "Quality gates": _gates(manifest),
        "Feature importance": _importance(manifest),
        "Lineage": _lineage(manifest),
        "Intended use and limits": _limits(manifest),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# Model card: {_plain(manifest.model)}\n\n{_summary(manifest)}\n\n{body}\n"


def classification_report(y: NDArray[Any], predicted: NDArray[Any], classes: tuple[str, ...]) -> str:
    """Precision, recall, f1 and rows of each class, with accuracy, macro and weighted means, as a text table.

    `y` and `predicted` are (rows,) class indices. Macro means are over the classes that occur in `y`.

    >>> import numpy as np
    >>> print(classification_report(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("No", "Yes")))
                  precision    recall        f1      rows
    No                1.000     0.500     0.667         2
    Yes               0.667     1.000     0.800         2
    <BLANKLINE>
    accuracy                              0.750         4
    macro mean        0.833     0.750     0.733         4
    weighted mean     0.833     0.750     0.733         4
    """
    table = confusion(y, predicted, len(classes))
    values, support = by_class(table), table.sum(axis=1)
    rows, present = int(support.sum()), support > 0
    if not rows:
        return "no rows"
    wide = max([13, *map(len, classes)])
    lines = [" " * wide + "".join(f"{name:>10}" for name in ("precision"[:10], "recall", "f1", "rows"))]
    for index, name in enumerate(classes):
        lines.append(_report_line(name, wide, [each[index] for each in values.values()], int(support[index])))
    lines += ["", f"{'accuracy':<{wide}}{'':>20}{table.trace() / rows:>10.3f}{rows:>10,}"]
    lines.append(_report_line("macro mean", wide, [each[present].mean() for each in values.values()], rows))
    lines.append(_report_line("weighted mean", wide, [each @ support / rows for each in values.values()], rows))
    return "\n".join(lines)


def _report_line(name: str, wide: int, figures: Iterable[float], rows: int) -> str:
    return f"{name:<{wide}}" + "".join(f"{figure:>10.3f}" for figure in figures) + f"{rows:>10,}"


def _summary(manifest: Manifest) -> str:
    passed = "passed" if manifest.gates.passed else "**did not pass**"
    profile, many = manifest.profile, len(manifest.features)
    return (
        f"A {_plain(manifest.family)} model that predicts {_code(manifest.target)} from {many} features. "
        f"It {passed} its quality gates; {profile.metric} is {profile.expected:.4f} on {profile.labels:,} test rows."
    )


def _model(manifest: Manifest) -> str:
    rows: list[tuple[str, object]] = [("Family", _plain(manifest.family)), ("Task", manifest.task.value)]
    rows.append(("Target", _code(manifest.target)))
    if manifest.task is not Task.REGRESSION:
        rows.append(("Classes, in the order of the scores", ", ".join(_code(name) for name in manifest.classes)))
    if manifest.task is Task.BINARY:
        rows.append((f"{_code(manifest.classes[-1])} is predicted from a score of", f"{manifest.threshold:g}"))
    if manifest.entity:
        rows.append(("A row is about", _code(manifest.entity)))
    if manifest.exactness is not None:
        rows.append(("Served by", _served(manifest.exactness)))
    rows += [(f"Setting {_code(name)}", _code(value)) for name, value in sorted(manifest.params.items())]
    return _table(("", ""), rows)


def _served(found: Exactness) -> str:
    if not found.holds:
        return f"the training library, for its compiled form was refused: {_plain(found.reason)}"
    seen = f"{found.rows:,} rows, {found.thresholds:,} of them at or beside a split"
    return f"its compiled form; over {seen}, the greatest difference to the library is {found.difference:.1g}"


def _data(manifest: Manifest) -> str:
    data = manifest.lineage.dataset
    rows = [("Source", _code(data.source)), ("Rows", f"{data.rows:,}"), ("Columns", f"{data.columns:,}")]
    return _table(("", ""), [*rows, ("Fingerprint of the content", _code(data.fingerprint))])


def _features(manifest: Manifest) -> str:
    known = {column.name: column for column in manifest.profile.columns}
    rows = [(_code(name), *_described(known.get(name))) for name in manifest.features]
    return _table(("Feature", "Kind", "Missing", "Values"), rows)


def _described(column: ColumnProfile | None) -> tuple[str, str, str]:
    if column is None:
        return _NOTHING, _NOTHING, _NOTHING
    missing = f"{column.nulls / column.rows:.1%}" if column.rows else _NOTHING
    if column.counts is not None:
        return column.kind.value, missing, f"{len(column.counts):,} levels"
    if column.minimum is None or column.maximum is None:
        return column.kind.value, missing, _NOTHING
    return column.kind.value, missing, f"{column.minimum:g} to {column.maximum:g}"


def _metrics(manifest: Manifest) -> str:
    found = manifest.evaluation
    parts = (found.test, found.train, found.cv)
    names = dict.fromkeys(name for part in parts for name in part)
    rows = [(_code(name), *(_figure(part, name) for part in parts)) for name in names]
    return _table(("Metric", "Test", "Training", "Cross-validation"), rows)


def _gates(manifest: Manifest) -> str:
    results = manifest.gates.results
    if not results:
        return "No gate was judged, so the model may not be registered."
    rows = [(_code(each.gate), "passed" if each.passed else "**failed**", _plain(each.reason)) for each in results]
    return _table(("Gate", "Result", "Why"), rows)


def _importance(manifest: Manifest) -> str:
    found = manifest.evaluation.importance
    if not found:
        return "Not measured."
    rows = [(place, _code(each.feature), f"{each.value:.4f}") for place, each in enumerate(found, start=1)]
    text = (
        "How far the test score falls when the feature's values are shuffled. It does not say what causes the target."
    )
    return f"{text}\n\n{_table(('', 'Feature', 'Fall of the score'), rows)}"


def _lineage(manifest: Manifest) -> str:
    lineage = manifest.lineage
    rows: list[tuple[str, object]] = [
        ("Dataset", _code(lineage.dataset.fingerprint)),
        ("Feature functions", _code(lineage.features_hash)),
        ("Configuration", _code(lineage.config_hash)),
        ("Code", _code(lineage.code_hash)),
        ("Seed", lineage.seed),
        ("Parent version", _NOTHING if lineage.parent is None else lineage.parent),
    ]
    rows += [(f"Package {_code(name)}", _plain(version)) for name, version in sorted(lineage.packages.items())]
    return _table(("", ""), rows)


def _limits(manifest: Manifest) -> str:
    target, rows = _code(manifest.target), f"{manifest.profile.labels:,}"
    lines = [
        f"Intended to predict {target} for rows like the training rows: same columns, same meaning, same population.",
        f"The test metrics come from {rows} rows that were not trained on, and hold while the data stay as they were.",
        "A missing number is replaced by a typical one from the training rows.",
        "A category that did not occur in training is treated as missing.",
        "How the metrics differ between groups of people was not measured here.",
    ]
    gap = _gap(manifest)
    if not manifest.gates.passed:
        lines.insert(0, "**The model did not pass its quality gates and is not fit for use.**")
    return "\n".join(f"- {line}" for line in [*lines, *gap])


def _gap(manifest: Manifest) -> list[str]:
    metric, found = manifest.profile.metric, manifest.evaluation
    if metric not in found.train or metric not in found.test:
        return []
    train, test = found.train[metric], found.test[metric]
    return [f"{metric} is {train:.4f} on training rows and {test:.4f} on test rows: a gap of {abs(train - test):.4f}."]


def _figure(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.4f}" if name in values else _NOTHING


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _plain(value: object) -> str:
    """Text that cannot break out of its table cell or become markup.

    >>> print(_plain("a|b <i>"))
    a\\|b &lt;i&gt;
    """
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("*", "\\*").replace("`", "\\`")


def _code(value: object) -> str:
    return "`" + " ".join(str(value).split()).replace("`", "'").replace("|", "\\|") + "`"
