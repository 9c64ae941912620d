"""The column to predict: which task it is, which classes it has, and its values as numbers.

Class names are the target's own words. A table may be given as read or conformed; in a conformed one a two-valued
target is already true/false, so `classes` then needs the schema, which remembers the words, to name them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.data.named import demand_column
from everfit.data.reading import FALSE_WORDS, TRUE_WORDS, numbers, text
from everfit.errors import ChecksFailed, ProjectError, SourceError
from everfit.project.sections.data import Target
from everfit.records.table import Column, Kind, Schema, Task

# A whole-number target with more distinct values than this is a quantity, not a class.
MOST_CLASSES = 20
_PAIRS = dict(zip(TRUE_WORDS, FALSE_WORDS, strict=True)) | dict(zip(FALSE_WORDS, TRUE_WORDS, strict=True))


def task(schema: Schema, target: Target) -> Task:
    """What the target asks for: two distinct values are binary, a category or at most 20 whole numbers multiclass,
    other numbers regression; `target.task` settles it.

    Raises ProjectError for an unknown column or one that cannot be predicted, ChecksFailed for a constant one.

    >>> schema = Schema((Column("churn", Kind.BOOLEAN, distinct=2), Column("price", Kind.NUMERIC, distinct=900)))
    >>> task(schema, Target(column="churn")).value, task(schema, Target(column="price")).value
    ('binary', 'regression')
    """
    demand_column(target.column, schema.names, "data.target.column")
    column = schema[target.column]
    if column.distinct < 2:
        raise ChecksFailed(
            f"the target holds {column.distinct or 'no'} distinct value{'' if column.distinct == 1 else 's'}; "
            "nothing can be learned from it",
            where=f"column {column.name!r}",
            fix="choose another target, or take a table in which it varies",
        )
    inferred = Task(target.task) if target.task else _inferred(column)
    if inferred is Task.BINARY and column.distinct != 2:
        raise ProjectError(
            f"a binary target has two values; this one has {column.distinct}",
            where=f"data.target.task, column {column.name!r}",
            fix="write task: multiclass or task: regression, or leave `task` out",
        )
    if inferred is Task.REGRESSION and column.kind is not Kind.NUMERIC:
        raise ProjectError(
            f"regression needs numbers; this column is {column.kind.value}",
            where=f"data.target.task, column {column.name!r}",
            fix=f"leave `task` out, or write data.columns: {{{column.name}: numeric}}",
        )
    return inferred


def _inferred(column: Column) -> Task:
    if column.distinct == 2:
        return Task.BINARY
    if is_class(column):
        return Task.MULTICLASS
    if column.kind is Kind.NUMERIC:
        return Task.REGRESSION
    raise ProjectError(
        f"a column of kind {column.kind.value} with {column.distinct} distinct values is neither a class nor a number",
        where=f"data.target, column {column.name!r}",
        fix=f"choose another target, or say what it is in data.columns: {{{column.name}: categorical}}",
    )


def is_class(column: Column) -> bool:
    """Whether the column's values are classes rather than quantities.

    >>> is_class(Column("stars", Kind.NUMERIC, distinct=5, whole=True))
    True
    >>> is_class(Column("cost", Kind.NUMERIC, distinct=5))
    False
    """
    if column.kind in (Kind.BOOLEAN, Kind.CATEGORICAL):
        return True
    if column.distinct == 2:
        return column.kind is not Kind.DATE
    return column.kind is Kind.NUMERIC and column.whole and column.distinct <= MOST_CLASSES


def classes(frame: pl.DataFrame, target: Target, task: Task, schema: Schema | None = None) -> tuple[str, ...]:
    """The target's classes in the order of the scores: sorted (numbers by size), for a binary target the positive one
    last: `target.positive`, matched by its text or as yes/true/1, else the rarer one. Empty for regression.

    Raises ProjectError when `positive` is none of the values.

    >>> table = pl.DataFrame({"churn": ["Yes", "No", "No"]})
    >>> classes(table, Target(column="churn"), Task.BINARY)
    ('No', 'Yes')
    """
    if task is Task.REGRESSION:
        return ()
    values = frame[target.column]
    words = _words(values, target, schema).drop_nulls()
    counts = words.rename("word").value_counts().sort("count", "word")
    names = tuple(counts["word"].to_list())
    if task is Task.BINARY:
        names = _merged(names)
    if task is Task.MULTICLASS or len(names) != 2:
        return _sorted(names)
    positive = _rarer(counts, names) if target.positive is None else _match(target, names)
    return (names[1] if positive == names[0] else names[0], positive)


def _words(values: pl.Series, target: Target, schema: Schema | None) -> pl.Series:
    """The target's values as the table first wrote them."""
    if values.dtype != pl.Boolean:
        return text(values)
    levels = _merged(schema[target.column].levels) if schema is not None else ()
    if not levels and target.positive is not None:
        word = _text(target.positive)
        levels = (word, _other(word))
    named = {_truth(level): level for level in levels}
    return text(values).replace({"true": named.get(True, "true"), "false": named.get(False, "false")})


def _merged(names: tuple[str, ...]) -> tuple[str, ...]:
    """One spelling of each truth value, the last given winning: YES and Yes are the same class."""
    if not all(name.strip().lower() in _PAIRS for name in names):
        return names
    return tuple({_truth(name): name for name in reversed(names)}.values())


def _truth(word: str) -> bool | None:
    lower = word.strip().lower()
    return True if lower in TRUE_WORDS else False if lower in FALSE_WORDS else None


def _other(word: str) -> str:
    other = _PAIRS.get(word.strip().lower(), "")
    return other.upper() if word.isupper() else other.capitalize() if word.istitle() else other


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    values = numbers(pl.Series(names, dtype=pl.String))
    if values.null_count():
        return tuple(sorted(names))
    return tuple(sorted(names, key=float))


def _rarer(counts: pl.DataFrame, names: tuple[str, ...]) -> str:
    by_class: dict[str, int] = dict.fromkeys(names, 0)
    for word, count in counts.iter_rows():
        by_class[_matching(word, names) or word] += count
    first, second = sorted(names, key=lambda name: (by_class[name], _truth(name) is not True, name))
    if by_class[first] == by_class[second] and _truth(first) is None:
        return second
    return first


def _text(value: object) -> str:
    return str(text(pl.Series([value]))[0])


def _match(target: Target, names: tuple[str, ...]) -> str:
    found = _matching(_text(target.positive), names)
    if found is None:
        raise ProjectError(
            f"no value of {target.column} is {target.positive!r}; they are {' and '.join(names)}",
            where="data.target.positive",
            fix=f"write positive: {names[-1]!r}, or leave it out for the rarer value",
        )
    return found


def _matching(word: str, names: tuple[str, ...]) -> str | None:
    """The name that is meant: the same text, the same number, or the same side of yes and no."""
    if word in names:
        return word
    stripped = word.strip().lower()
    same = [name for name in names if name.strip().lower() == stripped]
    if len(same) == 1:
        return same[0]
    truth = _truth(word)
    meant = [name for name in names if truth is not None and _truth(name) is truth]
    return meant[0] if len(meant) == 1 and len(names) == 2 else None


def encode(frame: pl.DataFrame, column: str, classes: tuple[str, ...], task: Task) -> NDArray[Any]:
    """The target as y, shape (rows,): class indices as int64, or float64 values for regression.

    Raises ChecksFailed for missing values (a label is never made up) and SourceError for one that is no class or no
    number.

    >>> encode(pl.DataFrame({"churn": ["Yes", "No"]}), "churn", ("No", "Yes"), Task.BINARY)
    array([1, 0])
    """
    values = frame[column]
    words = text(values)
    _refuse_missing(values, words, column)
    if task is Task.REGRESSION:
        y = numbers(values)
        _refuse_unknown(values, y.is_null() | y.is_infinite(), column, "a finite number")
        return y.to_numpy().astype(np.float64)
    meant = {word: _matching(word, classes) for word in words.unique().to_list()}
    indices = {word: classes.index(name) for word, name in meant.items() if name is not None}
    coded = words.replace_strict(indices, default=None, return_dtype=pl.Int64)
    _refuse_unknown(values, coded.is_null(), column, f"one of the classes {', '.join(classes)}")
    return coded.to_numpy().astype(np.int64)


def _refuse_missing(values: pl.Series, words: pl.Series, column: str) -> None:
    if count := words.null_count():
        row = (words.is_null().arg_max() or 0) + 1
        raise ChecksFailed(
            f"the target is missing in {count} of {len(values)} rows, first in row {row}",
            where=f"column {column!r}",
            fix="leave rows whose outcome is not known yet out of the table",
        )


def _refuse_unknown(values: pl.Series, unknown: pl.Series, column: str, wanted: str) -> None:
    if unknown.any():
        row = unknown.arg_max() or 0
        raise SourceError(
            f"{values[row]!r} is not {wanted}",
            where=f"column {column!r}, row {row + 1}",
            fix="correct the value, or leave the row out",
        )
