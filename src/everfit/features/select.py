"""Which features a model reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from everfit.errors import ProjectError
from everfit.features.functions import Functions, inputs
from everfit.records.table import Column, Kind, Schema

_USABLE = {Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN}


def select(
    schema: Schema,
    functions: Functions,
    *,
    target: str,
    entity: str | None = None,
    time: str | None = None,
    exclude: Collection[str] = (),
    personal: Collection[str] = (),
    use: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """The names of the features in the order that the model reads them: columns as in the table, then functions.

    Numeric, categorical and boolean columns are features; dates only through a function. The target, the entity, the
    time, excluded and personal columns, identifiers and texts never are, whatever is done to them before storing.
    Constant columns are left out unless `use` names them. `use` restricts to its names, in its order.

    Raises ProjectError when a name, of `exclude` too, is unknown or not usable, when a function reads the
    target or a personal column, or when nothing is left.
    """
    barred = {target: "the target", **dict.fromkeys(personal, "personal data")}
    reserved = {name: "the entity" for name in (entity,) if name} | {name: "the time" for name in (time,) if name}
    _check_excluded(exclude, schema, personal)
    refused = dict.fromkeys(exclude, "excluded") | reserved | barred
    reasons = {column.name: refused.get(column.name) or _unusable(column) for column in schema.columns}
    if use is None:
        columns = [c.name for c in schema.columns if not reasons[c.name] and not _is_constant(c)]
        names = (*columns, *functions.callables)
    else:
        names = tuple(dict.fromkeys(use))
        for name in names:
            _check_named(name, reasons, functions)
    _check_reads(names, functions, barred, schema)
    if not names:
        raise ProjectError(
            "no column is left for the model to read",
            where="everfit.yaml",
            fix="give a column a usable kind in data.columns, or write a function in features.py",
        )
    return names


def _check_excluded(exclude: Collection[str], schema: Schema, personal: Collection[str]) -> None:
    """A name that is misspelt would exclude nothing, and nobody would notice. Personal columns may be gone already."""
    for name in exclude:
        if name not in schema.names and name not in personal:
            close = get_close_matches(name, schema.names, 1)
            raise ProjectError(
                f"the table has no column {name!r} to exclude",
                where="everfit.yaml: data.exclude",
                fix=f"did you mean {close[0]!r}?" if close else "the columns are: " + ", ".join(schema.names),
            )


def _unusable(column: Column) -> str | None:
    return None if column.kind in _USABLE else f"of the kind {column.kind.value}"


def _is_constant(column: Column) -> bool:
    return column.null_share >= 1 or (column.null_share == 0 and column.distinct == 1)


def _check_named(name: str, reasons: Mapping[str, str | None], functions: Functions) -> None:
    if name in functions.callables:
        return
    if name not in reasons:
        known = [*reasons, *functions.callables]
        close = get_close_matches(name.rpartition(":")[2], known, 1)
        raise ProjectError(
            f"{name!r} is neither a column nor a feature",
            where="everfit.yaml: features.use",
            fix=f"did you mean {close[0]!r}?" if close else "the names are: " + ", ".join(known),
        )
    if reasons[name]:
        raise ProjectError(
            f"{name!r} is {reasons[name]} and cannot be a feature",
            where="everfit.yaml: features.use",
            fix="remove it there; a column of another kind needs its kind in data.columns or a function of it",
        )


def _check_reads(names: Sequence[str], functions: Functions, barred: Mapping[str, str], schema: Schema) -> None:
    known = set(schema.names)
    for name in (n for n in names if n in functions.callables):
        for read in inputs(functions, [name]):
            if read in barred:
                raise ProjectError(
                    f"the feature {name!r} reads {read!r}, which is {barred[read]}",
                    where=functions.filename,
                    fix="compute it from other columns, or remove it",
                )
            if read not in known:
                close = get_close_matches(read, schema.names, 1)
                raise ProjectError(
                    f"the feature {name!r} reads {read!r}, which is neither a column nor a feature",
                    where=functions.filename,
                    fix=f"did you mean {close[0]!r}?" if close else "the columns are: " + ", ".join(schema.names),
                )
