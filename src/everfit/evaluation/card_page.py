"""The model card as one HTML page that needs nothing else: pictures inside, no script, light, dark and for print."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from importlib.resources import files

from everfit.evaluation.card import Card, Cell, Code, Part, Short, Table
from everfit.evaluation.card_markdown import written
from everfit.evaluation.forest_plot import Bar, forest

_PLOTTED = 15


def page(card: Card, pictures: Mapping[str, bytes]) -> str:
    """The card as HTML; `pictures` are PNG files by name, of which those that a section names are embedded.

    All that comes from the data is escaped, and the page's own policy forbids scripts and any request.
    """
    style = files("everfit.evaluation").joinpath("card.css").read_text(encoding="utf-8")
    parts = "\n".join(_part(part, pictures) for part in card.parts)
    links = "".join(f'<a href="#{part.key}">{escape(part.title)}</a>' for part in card.parts)
    state = "passed" if card.passed else "failed"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Model card: {escape(card.title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<p class="over">Model card</p>
<h1>{escape(card.title)}</h1>
<p>{escape(card.summary)}</p>
<p class="verdict {state}">{escape(card.verdict)}</p>
<nav>{links}</nav>
</header>
<main>
{parts}
</main>
</body>
</html>
"""


def _part(part: Part, pictures: Mapping[str, bytes]) -> str:
    text = f"<p>{escape(part.text)}</p>" if part.text else ""
    points = "".join(f"<li>{escape(point)}</li>" for point in part.points)
    table = _table(part.table) if part.table else ""
    body = [text, f"<ul>{points}</ul>" if points else "", _plot(part), table, _figures(part, pictures)]
    return (
        f'<section id="{part.key}">\n<h2>{escape(part.title)}</h2>\n' + "\n".join(filter(None, body)) + "\n</section>"
    )


def _table(table: Table) -> str:
    if table.headers == ("", ""):
        rows = "".join(f'<tr><th scope="row">{_html(name)}</th>{_cell(value)}</tr>' for name, value in table.rows)
        return f'<div class="wide"><table class="pairs">{rows}</table></div>'
    numeric = [all(_is_number(row[i]) for row in table.rows) for i in range(len(table.headers))]
    names = zip(table.headers, numeric, strict=True)
    head = "".join(f'<th scope="col"{_right(right)}>{escape(name)}</th>' for name, right in names)
    rows = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, bool):
        return f'<td class="{written(cell)}">{written(cell)}</td>'
    return f"<td{_right(_is_number(cell))}>{_html(cell)}</td>"


def _html(cell: Cell) -> str:
    text = escape(written(cell))
    return f"<code>{text}</code>" if isinstance(cell, Code) else text


def _is_number(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, int | float | Short) and not isinstance(cell, bool))


def _right(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _figures(part: Part, pictures: Mapping[str, bytes]) -> str:
    found = [(name, pictures[name]) for name in part.pictures if name in pictures]
    shown = "".join(
        f'<img alt="{escape(name.removesuffix(".png").replace("_", " "))}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode()}">'
        for name, content in found
    )
    return f'<div class="figures">{shown}</div>' if shown else ""


def _plot(part: Part) -> str:
    """Candidates and slices as dots with their intervals."""
    if part.table is None or part.key not in ("candidates", "slices"):
        return ""
    bars = [_candidate(row) if part.key == "candidates" else _slice(row) for row in part.table.rows[:_PLOTTED]]
    return forest([bar for bar in bars if bar is not None])


def _candidate(row: tuple[Cell, ...]) -> Bar | None:
    name, mean, spread = row[:3]
    if not (isinstance(mean, float) and isinstance(spread, float)):
        return None
    return Bar(written(name), mean - spread, mean, mean + spread)


def _slice(row: tuple[Cell, ...]) -> Bar | None:
    column, level, rows, value, low, high = row[:6]
    if not (isinstance(value, float) and isinstance(low, float) and isinstance(high, float)):
        return None
    return Bar(f"{written(column)} = {written(level)} ({written(rows)})", low, value, high, row[7] == "yes")
