"""The rows of one request, a list a column: what many rows are read, scored, logged and answered as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from everfit.records.prediction import by_row
from everfit.serving.rows import RawRow, RowParser

_SCALAR = bool | int | float | str | None
_UNSET = msgspec.UNSET


class Sent(msgspec.Struct, frozen=True, gc=False):
    """Rows that have the same columns, at least one row and one column: values as they came, by column."""

    count: int
    columns: Mapping[str, Sequence[Any]]

    @staticmethod
    def of(rows: Sequence[RawRow]) -> Sent | None:
        """Rows by column; None for those that have several kinds of columns, or one column alone.

        >>> Sent.of([{"a": 1, "b": "x"}, {"b": None, "a": 2}])
        Sent(count=2, columns={'a': (1, 2), 'b': ('x', None)})
        """
        names = tuple(rows[0])
        if len(names) < 2 or any(len(row) != len(names) for row in rows):
            return None
        try:
            columns = zip(*map(itemgetter(*names), rows), strict=True)
        except KeyError:
            return None
        return Sent(len(rows), dict(zip(names, columns, strict=True)))

    def rows(self) -> list[RawRow]:
        """The same as one object a row.

        >>> Sent(2, {"a": [1, 2], "b": ["x", None]}).rows()
        [{'a': 1, 'b': 'x'}, {'a': 2, 'b': None}]
        """
        return list(by_row(self.columns, self.count))

    def at(self, places: Sequence[int]) -> Sent:
        """Some of the rows."""
        return Sent(len(places), {name: [column[i] for i in places] for name, column in self.columns.items()})


class JsonRows:
    """Reads `{"rows": [objects]}` of one schema without making the objects, in half of the time. Safe for threads.

    >>> from everfit.records.table import Column, Kind, Schema
    >>> schema = Schema((Column("tenure", Kind.NUMERIC), Column("plan", Kind.CATEGORICAL), Column("id", Kind.TEXT)))
    >>> rows = JsonRows(RowParser(schema, ["tenure", "plan"]))
    >>> rows.read(b'{"rows": [{"plan": "x", "tenure": 5}, {"plan": null, "tenure": "7"}]}')
    Sent(count=2, columns={'tenure': (5, '7'), 'plan': ('x', None)})
    >>> rows.read(b'{"rows": [{"plan": "x"}]}')
    """

    def __init__(self, parser: RowParser) -> None:
        required = parser.required
        self._names = (*required, *sorted(parser.others))
        self._required = len(required)
        fields = [(f"c{i}", _SCALAR, msgspec.field(name=name)) for i, name in enumerate(required)]
        others = [
            (f"o{i}", _SCALAR | msgspec.UnsetType, msgspec.field(name=name, default=_UNSET))
            for i, name in enumerate(sorted(parser.others))
        ]
        row = msgspec.defstruct("Row", [*fields, *others], frozen=True, gc=False, forbid_unknown_fields=True)
        body = msgspec.defstruct("Body", [("rows", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(body).decode

    def read(self, body: bytes) -> Sent | None:
        """The columns; None for a body that is anything else than such rows, each of which has the required columns
        and the same others of the schema: the usual way knows what to say of it."""
        try:
            rows = self._decode(body).rows
        except (ValueError, RecursionError):
            return None
        if not rows:
            return None
        columns = dict(zip(self._names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
        for name in self._names[self._required :]:
            absent = columns[name].count(_UNSET)
            if absent == len(rows):
                del columns[name]
            elif absent:
                return None
        return Sent(len(rows), columns) if columns else None
