"""A first look at a table that nobody has described yet: what is predicted, from what, and what is odd about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from everfit.data import checks, propose, schema
from everfit.data import target as targets
from everfit.data.reading import TRUE_WORDS, read
from everfit.errors import ProjectError
from everfit.features.functions import load as load_functions
from everfit.features.select import select
from everfit.flow import guesses
from everfit.flow.steps.publish import example
from everfit.project.sections.data import Check, Data, Target
from everfit.records.table import CheckResult, Kind, Row, Schema, Task

# A table with fewer groups is better split at random.
_FEWEST_GROUPS = 50
_FEW_ROWS = 100


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found. `columns` are all of the table, `kept` those without personal data; `kinds` are those that must
    be written down because nobody would guess them; `positive` is set for two classes; `grouped` says that entities
    repeat, so that a random split would put one into both parts; `exposed` that the entity is personal data;
    `revealing` columns tell the target exactly; `surprises` are worth a look, each begins with a column's name or with
    a number of rows; `issues` are the checks that the table itself breaks; `example` is a complete row as a caller
    would send it."""

    rows: int
    columns: Schema
    kept: Schema
    task: Task
    target: str
    classes: tuple[str, ...]
    positive: str | None
    entity: str | None
    time: str | None
    kinds: Mapping[str, Kind]
    personal: tuple[str, ...]
    grouped: bool
    exposed: bool
    revealing: tuple[str, ...]
    surprises: tuple[str, ...]
    proposed: tuple[Check, ...]
    issues: tuple[CheckResult, ...]
    example: Row


def survey(table: pl.DataFrame, target: str, entity: str | None = None, time: str | None = None) -> Survey:
    """Looks at a raw table with the eyes of a newcomer. What is not given is guessed: entity, time, personal columns.

    Raises ProjectError for a column that is not there or cannot be what it is said to be, ChecksFailed for a target
    that is constant, SourceError for what cannot be read.

    >>> table = pl.DataFrame({"customer_id": ["a1", "b2", "c3"], "age": [31, 44, 52], "left": ["yes", "no", "no"]})
    >>> found = survey(table, "left")
    >>> found.task.value, found.positive, found.entity, dict(found.example)
    ('binary', 'yes', 'customer_id', {'customer_id': 'a1', 'age': 31.0})
    """
    _demand_columns(table, target, entity, time)
    kinds = _kinds(table, entity, time)
    columns = schema.infer(table, kinds)
    _demand_date(columns, time)
    task = targets.task(columns, Target(column=target))
    private = [c.name for c in columns.columns if guesses.is_personal(c, table[c.name])]
    personal = tuple(name for name in private if name not in (target, entity, time))
    entity = entity or guesses.entity(columns, table.height, {target, *personal})
    time = time or guesses.time(columns, {target, *personal})
    kept = Schema(tuple(column for column in columns.columns if column.name not in personal))
    proposed = propose.checks(kept, table.height, target)
    positive = _positive(table, target, task)
    valid = pl.DataFrame([read(table[c.name], c.kind, c.format).values for c in kept.columns])
    features = [c for c in kept.columns if c.name not in (target, entity, time)]
    revealing = tuple(c.name for c in features if guesses.reveals(c, valid[c.name], valid[target], task))
    return Survey(
        rows=table.height,
        columns=columns,
        kept=kept,
        task=task,
        target=target,
        classes=targets.classes(table, Target(column=target, positive=positive), task),
        positive=positive,
        entity=entity,
        time=time,
        kinds=kinds,
        personal=personal,
        grouped=_repeats(kept, entity, table.height),
        exposed=entity in private,
        revealing=revealing,
        surprises=(*_surprises(columns, personal, revealing), *_remarks(table)),
        proposed=proposed,
        issues=_issues(table.drop(personal), kept, proposed, target),
        example=_example(table, valid, kept, Data(source="-", target=Target(column=target), entity=entity, time=time)),
    )


def nearest(name: str, known: list[str]) -> str | None:
    """The name that was probably meant: the same but for case and signs, or one that is spelt alike.

    >>> nearest("churn", ["customerID", "Churn"]), nearest("Chrun", ["Churn"]), nearest("price", ["Churn"])
    ('Churn', 'Churn', None)
    """
    folded = {"".join(guesses.words(each)).casefold(): each for each in reversed(known)}
    close = get_close_matches("".join(guesses.words(name)).casefold(), folded, 1)
    return folded[close[0]] if close else None


def _demand_columns(table: pl.DataFrame, target: str, entity: str | None, time: str | None) -> None:
    taken: dict[str, str] = {}
    for option, name in (("target", target), ("entity", entity), ("time", time)):
        if name is None:
            continue
        _demand_column(table, f"--{option}", name)
        if name in taken:
            what = f"{name!r} is the {taken[name]} already"
            raise ProjectError(what, where=f"--{option}", fix="name another column, or leave the option out")
        taken[name] = option


def _demand_column(table: pl.DataFrame, option: str, name: str) -> None:
    if name not in table.columns:
        close = nearest(name, table.columns)
        fix = f"did you mean {close!r}?" if close else f"choose one of {', '.join(table.columns)}"
        raise ProjectError(f"the table has no column {name!r}", where=option, fix=fix)


def _kinds(table: pl.DataFrame, entity: str | None, time: str | None) -> dict[str, Kind]:
    """Kinds that were said by naming the entity and the time, where a guess would be another."""
    said = {name: kind for name, kind in ((entity, Kind.IDENTIFIER), (time, Kind.DATE)) if name is not None}
    guessed = schema.infer(table.select(*said)) if said else Schema(())
    return {name: kind for name, kind in said.items() if guessed[name].kind is not kind}


def _demand_date(columns: Schema, time: str | None) -> None:
    if time is not None and not columns[time].distinct:
        raise ProjectError(
            f"no value of {time!r} reads as a date", where="--time", fix="write times as 2024-01-31 or 2024-01-31 08:30"
        )


def _positive(table: pl.DataFrame, target: str, task: Task) -> str | None:
    """Of yes and no it is yes, of two other values the rarer one."""
    if task is not Task.BINARY:
        return None
    names = targets.classes(table, Target(column=target), task)
    true = [name for name in names if name.strip().lower() in TRUE_WORDS]
    return true[0] if len(true) == 1 else names[-1]


def _repeats(columns: Schema, entity: str | None, rows: int) -> bool:
    if entity is None:
        return False
    column = columns[entity]
    return column.null_share == 0 and _FEWEST_GROUPS <= column.distinct < rows


def _surprises(columns: Schema, personal: Collection[str], revealing: Collection[str]) -> Iterator[str]:
    for column in columns.columns:
        if column.name in personal:
            yield f"{column.name} looks like personal data: it is dropped before anything is stored"
        elif found := guesses.surprise(column):
            yield f"{column.name}: {found}"
    for name in revealing:
        yield f"{name} tells the target exactly: if it is known only afterwards, exclude it (data.exclude)"


def _remarks(table: pl.DataFrame) -> Iterator[str]:
    """What is odd about the table as a whole."""
    repeated = table.height - table.n_unique()
    if repeated:
        yield f"{repeated:,} row{'s repeat others' if repeated > 1 else ' repeats another'} in every value"
    if table.height < _FEW_ROWS:
        yield f"{table.height} rows are few: scores will say little about new rows"


def _issues(table: pl.DataFrame, columns: Schema, proposed: tuple[Check, ...], target: str) -> tuple[CheckResult, ...]:
    found = checks.check(table, columns, proposed, target).issues
    return tuple({(issue.check, issue.column, issue.observed): issue for issue in found}.values())


def _example(table: pl.DataFrame, valid: pl.DataFrame, columns: Schema, data: Data) -> Row:
    functions = load_functions("")
    try:
        names = select(columns, functions, target=data.target.column, entity=data.entity, time=data.time)
    except ProjectError as error:
        raise ProjectError(
            "no column is left to learn from: beside the target there are only identifiers, texts, dates, "
            "personal data and columns that never change",
            where="--from",
            fix="take a table with a column of numbers, of categories or of yes and no",
        ) from error
    return example(table, valid, columns, functions, names, data)
