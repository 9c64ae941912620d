"""What commands print: tables for people on a terminal, one JSON document for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from everfit.ports import Progress

# Columns of a table that nobody looks at on a terminal.
_PIPED = 200
MARKS = {True: "[green]✓[/]", False: "[red]✗[/]"}


@dataclass(frozen=True)
class Output:
    """Text for people, unless `json` asks for one document."""

    json: bool

    @property
    def console(self) -> Console:
        """Where text for people goes: standard output, or nowhere when a document was asked for."""
        from rich.console import Console

        piped = not sys.stdout.isatty()
        # Without emoji a table's own `:texts:` stay as they are.
        return Console(quiet=self.json, highlight=False, emoji=False, soft_wrap=piped, width=_PIPED if piped else None)

    def document(self, value: Any) -> None:
        """Prints the value as JSON if that was asked for."""
        if self.json:
            from pydantic import TypeAdapter

            click.echo(TypeAdapter(Any).dump_json(value, indent=2).decode())

    def event(self, value: Any) -> None:
        """Prints the value as one line of JSON if JSON was asked for: what goes on prints one after the other."""
        if self.json:
            from pydantic import TypeAdapter

            click.echo(TypeAdapter(Any).dump_json(value).decode())

    def line(self, text: str = "") -> None:
        """One line for people; rich markup allowed."""
        self.console.print(text)

    def table(self, title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table for people; figures are aligned to the right."""
        from rich.table import Table

        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False
        )
        body = [[_text(value) for value in row] for row in rows]
        for index, header in enumerate(headers):
            figures = all(_is_figure(row[index]) for row in body)
            table.add_column(header, justify="right" if figures else "left", overflow="fold")
        for row in body:
            table.add_row(*row)
        self.console.print(table)

    def progress(self) -> Progress:
        """Somebody to tell how a run is doing."""
        from everfit.cli.progress import Bars, Lines

        return Bars() if sys.stderr.isatty() and not self.json else Lines(quiet=self.json)


def number(value: float | None) -> str:
    """Four decimals, or a dash.

    >>> number(0.84567), number(None)
    ('0.8457', '-')
    """
    return "-" if value is None else f"{value:.4f}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return MARKS[value]
    if isinstance(value, float):
        return number(value)
    return "-" if value is None else str(value)


def _is_figure(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).replace("-", "", 1).rstrip(" s%").isdigit()
