"""`everfit explain`: what a logged prediction is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from everfit.cli.options import on_project
from everfit.cli.output import Output

if TYPE_CHECKING:
    from everfit.records.explanation import Contribution, Explanation
    from everfit.serving.explaining import Explained
    from everfit.workspace import Workspace

_BAR = 20
_PARTS = " ▏▎▍▌▋▊▉"


@click.command("explain")
@click.argument("identity", metavar="ID")
@on_project
def command(workspace: Workspace, output: Output, identity: str) -> None:
    """Show what each feature contributed to a prediction of the log.

    ID is the `id` of an answer. The contributions are Shapley values: with the base, which is what the model says on
    average, they add up to the model's output. The version that answered is opened wherever it is, also long after it
    was replaced.

    \b
    Examples:
      everfit explain 01a1a0d9-f100-7000-8000-000000000000
      everfit explain 01a1a0d9-f100-7000-8000-000000000000 --json
    """
    from everfit.serving import explanations
    from everfit.workspace import explainer

    found = explainer(workspace).explain(identity)
    entity = workspace.project.data.entity
    show(found, output)
    output.document(explanations.shape(found, entity, workspace.project.serving.response))


def show(explained: Explained, output: Output) -> None:
    """A line about the prediction, then a bar for each feature, the greatest first."""
    record, found = explained.record, explained.explanation
    about = f" of {escape(found.about)}" if found.about is not None else ""
    output.line(
        f"[bold]{escape(str(record.prediction))}[/] with the score [bold]{record.score:.4f}[/], answered by version "
        f"{record.version} ({record.arm}) at {record.time:%Y-%m-%d %H:%M:%S} UTC"
    )
    most = max((abs(each.amount) for each in found.contributions), default=0.0)
    rows = [_row(each, most) for each in found.contributions]
    headers = ("feature", "value", "contribution", "", *(["± error"] if found.method == "sampled" else []))
    output.table(f"What moves the {found.unit}{about}", headers, rows)
    output.line(f"\nbase {found.base:+.4f}, contributions {found.output - found.base:+.4f}, {_outcome(found)}")


def _row(each: Contribution, most: float) -> tuple[object, ...]:
    color = "red" if each.amount < 0 else "green"
    value = "missing" if each.value is None else f"{each.value:g}" if isinstance(each.value, float) else each.value
    error = () if each.error is None else (f"{each.error:.4f}",)
    return (
        escape(each.feature),
        escape(str(value)),
        f"{each.amount:+.4f}",
        f"[{color}]{bar(each.amount, most)}[/]",
        *error,
    )


def bar(amount: float, most: float) -> str:
    """A bar as long as the amount's share of the greatest one.

    >>> bar(0.5, 1.0), bar(-0.01, 1.0), bar(0.0, 0.0)
    ('██████████', '▎', '')
    """
    eighths = round(abs(amount) / most * _BAR * 8) if most > 0 else 0
    return "█" * (eighths // 8) + _PARTS[eighths % 8].strip()


def _outcome(found: Explanation) -> str:
    drawn = "; drawn, see the standard errors" if found.method == "sampled" else ""
    return f"together {found.output:+.4f} ({found.unit}){drawn}"
