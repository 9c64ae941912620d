"""The model card as Markdown."""

from __future__ import annotations

from everfit.evaluation.card import Card, Cell, Code, Part, Short, Table


def markdown(card: Card) -> str:
    """The card as Markdown in which no name from the data can become markup; the same card gives the same text."""
    verdict = _plain(card.verdict)
    if not card.passed:
        verdict = verdict.replace("did not pass", "**did not pass**", 1)
    parts = "\n\n".join(f"## {part.title}\n\n{_part(part)}" for part in card.parts)
    return f"# Model card: {_plain(card.title)}\n\n{_plain(card.summary)} {verdict}\n\n{parts}\n"


def written(cell: Cell) -> str:
    """A cell as people read it.

    >>> [written(cell) for cell in (1409, 0.84567, Short(0.4), True, None, Code("a"))]
    ['1,409', '0.8457', '0.4', 'passed', '-', 'a']
    """
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "passed" if cell else "failed"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.4f}"
    if isinstance(cell, Short):
        return f"{cell.value:g}"
    return str(cell.value) if isinstance(cell, Code) else cell


def _part(part: Part) -> str:
    text = [_plain(part.text)] if part.text else []
    points = ["\n".join(f"- {_plain(point)}" for point in part.points)] if part.points else []
    return "\n\n".join([*text, *points, *([_table(part.table)] if part.table else [])])


def _table(table: Table) -> str:
    lines = [table.headers, ["---"] * len(table.headers), *(map(_cell, row) for row in table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(cell: Cell) -> str:
    if cell is False:
        return "**failed**"
    return _code(written(cell)) if isinstance(cell, Code) else _plain(written(cell))


def _plain(text: str) -> str:
    """Text that cannot break out of its table cell or become markup.

    >>> print(_plain("a|b <i>"))
    a\\|b &lt;i&gt;
    """
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "\\`")


def _code(text: str) -> str:
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
