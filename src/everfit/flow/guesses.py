"""What columns are for, guessed from their names and values: whom a row is about, when, and who must not be seen."""

from __future__ import annotations

import re
from collections.abc import Collection

import polars as pl

from everfit.records.table import Column, Kind, Schema, Task

_PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|telephone|tel|fax|cellphone"
    r"|(first|last|middle|full|given|family|maiden|sur)_?name|(customer|client|patient|employee|contact|holder)_name"
    r"|address|street|ssn|social_security|iban|passport|national_id|tax_id|credit_card|card)(_(address|number|no|nr|line))?$"
    r"|^name$"
)
_MAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_ROW_NUMBER = re.compile(r"^(unnamed(_\d+)?|index|row|row_?(id|no|nr|num|number|index)|level_\d+)$")
_MOMENT = frozenset({"event", "timestamp", "time", "snapshot", "observed", "recorded", "measured"})
_BORN = frozenset({"birth", "birthday", "birthdate", "dob", "born"})
# Below this share of distinct values a column names groups, not persons.
_MANY = 0.2
# A column with more values than this can tell the target's values apart by chance.
_ROWS_A_LEVEL = 5
_MOSTLY = 0.5


def words(name: str) -> list[str]:
    """The words of a column's name in lower case.

    >>> words("customerID"), words("E-Mail address")
    (['customer', 'id'], ['e', 'mail', 'address'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def is_personal(column: Column, values: pl.Series) -> bool:
    """Whether the column names or reaches a person: by its name, with values that differ from row to row, or by
    values that are e-mail addresses.

    >>> is_personal(Column("Email", Kind.IDENTIFIER, distinct=2), pl.Series(["a@b.org", "c@d.org"]))
    True
    >>> is_personal(Column("PhoneService", Kind.BOOLEAN, distinct=2), pl.Series(["Yes", "No"]))
    False
    """
    if column.kind in (Kind.BOOLEAN, Kind.DATE) or not column.distinct:
        return False
    named = bool(_PERSONAL.search("_".join(words(column.name))))
    return (named and column.distinct >= _MANY * len(values)) or _are_mails(values)


def _are_mails(values: pl.Series) -> bool:
    if values.dtype != pl.String:
        return False
    head = values.drop_nulls().head(1000)
    return len(head) > 0 and float(head.str.contains(_MAIL).sum()) >= 0.9 * len(head)


def entity(schema: Schema, rows: int, barred: Collection[str]) -> str | None:
    """The column that identifies whom a row is about: the first identifier without gaps, one without repeats before
    others; never a row number.

    >>> columns = Column("row_id", Kind.IDENTIFIER, distinct=3), Column("customer_id", Kind.IDENTIFIER, distinct=3)
    >>> entity(Schema(columns), 3, ())
    'customer_id'
    """
    found = [
        column
        for column in schema.columns
        if column.kind is Kind.IDENTIFIER
        and column.null_share == 0
        and column.name not in barred
        and not _ROW_NUMBER.search("_".join(words(column.name)))
    ]
    return min(found, key=lambda column: column.distinct < rows).name if found else None


def time(schema: Schema, barred: Collection[str]) -> str | None:
    """The column that says when a row was true: the only date without gaps, or the first whose name says so; never a
    date of birth.

    >>> time(Schema((Column("birth_date", Kind.DATE), Column("event_time", Kind.DATE))), ())
    'event_time'
    """
    found = [
        column.name
        for column in schema.columns
        if column.kind is Kind.DATE
        and column.null_share == 0
        and column.name not in barred
        and not _BORN & set(words(column.name))
    ]
    said = [name for name in found if _MOMENT & set(words(name))]
    return found[0] if len(found) == 1 else said[0] if said else None


def reveals(column: Column, values: pl.Series, target: pl.Series, task: Task) -> bool:
    """Whether the column tells the target exactly, by its values or by their absence, as one does that is only
    written down afterwards. `values` and `target` are conformed.

    >>> column = Column("left_on_monday", Kind.CATEGORICAL, distinct=2)
    >>> target = pl.Series(["Yes", "No"] * 10)
    >>> reveals(column, target.replace({"Yes": "y", "No": "n"}), target, Task.BINARY)
    True
    """
    levels = column.distinct + bool(column.null_share)
    if column.kind in (Kind.IDENTIFIER, Kind.TEXT, Kind.DATE) or levels < 2:
        return False
    pair = pl.DataFrame({"column": values, "target": target}).filter(pl.col("target").is_not_null())
    if task is Task.REGRESSION:
        return column.kind is Kind.NUMERIC and _are_copies(pair.drop_nulls())
    if pair.height < _ROWS_A_LEVEL * levels:
        return False
    return bool(pair.group_by("column").agg(pl.col("target").n_unique())["target"].max() == 1)


def _are_copies(pair: pl.DataFrame) -> bool:
    correlation = pair.select(pl.corr("column", "target")).item()
    return pair.height > _ROWS_A_LEVEL and correlation is not None and abs(correlation) > 1 - 1e-9


def surprise(column: Column) -> str:
    """What is worth a look about a column by itself, empty when nothing is.

    >>> surprise(Column("TotalCharges", Kind.NUMERIC, null_share=0.001, blanks=11, distinct=6531))
    '11 blank values are read as missing'
    """
    if not column.distinct:
        return "holds no value at all, so the model does not read it"
    if column.distinct == 1 and not column.null_share:
        return "is the same in every row, so the model does not read it"
    said = []
    if column.blanks:
        said.append(f"{column.blanks:,} blank value{'s are' if column.blanks > 1 else ' is'} read as missing")
    if column.null_share > _MOSTLY:
        said.append(f"{column.null_share:.0%} of the values are missing")
    return "; ".join(said)
