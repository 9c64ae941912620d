"""`everfit demo`: the whole loop on simulated customers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everfit.cli.options import as_json
from everfit.cli.output import Output
from everfit.errors import EverfitError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from everfit.ports import Progress

ROWS, FAST_ROWS, LEAST_ROWS, MOST_ROWS = 6_000, 2_500, 2_000, 100_000
_WIDEST = 100


@click.command("demo")
@click.option("--into", type=click.Path(path_type=Path), default="demo", show_default=True, help="The folder to make.")
@click.option(
    "--rows",
    type=click.IntRange(LEAST_ROWS, MOST_ROWS),
    help=f"Customers to learn from, and as many each week.  [default: {ROWS}, with --fast {FAST_ROWS}]",
)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Other customers, another story.")
@click.option("--fast", is_flag=True, help="Fewer customers and fewer models.")
@as_json
def command(into: Path, rows: int | None, seed: int, fast: bool, as_json: bool) -> None:
    """See the whole loop on simulated customers: train, release, serve, drift, alarm, retrain, canary, rollback.

    A month of a real project in a folder, in about a minute: only the customers and the clock are simulated. An
    earlier demo in the folder is replaced; a folder with other files is refused. The exit code is 1 when something came
    out otherwise than the story tells.

    \b
    Examples:
      everfit demo
      everfit demo --into tour --seed 11
      everfit demo --fast --json
    """
    from everfit.demo.story import Wish, document, tell

    output = Output(as_json)
    screen = Screen(output)
    story = tell(Wish(into, rows or (FAST_ROWS if fast else ROWS), seed, fast), screen, _progress(output))
    output.document(document(story))
    if story.surprises:
        raise EverfitError(
            f"{len(story.surprises)} of the things told came out otherwise:\n"
            + "\n".join(f"  {surprise}" for surprise in story.surprises),
            where="demo",
            fix="look at the chapters above; another --seed tells another story",
        )


class Screen:
    """Tells the story on a terminal."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def chapter(self, number: int, title: str) -> None:
        """A numbered heading over the width."""
        from rich.rule import Rule

        console = self._console()
        console.print()
        console.print(Rule(f"[bold]{number}  {title}[/]", align="left", style="cyan"), width=console.width)

    def line(self, text: str, style: str = "") -> None:
        """Wrapped at the words, further lines as far in as the first one, below its words after a dash."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        console = self._console()
        words = text.lstrip(" ")
        shown: RenderableType = Text(words, style)
        if words.startswith("- "):
            shown = Table.grid()
            shown.add_row(Text("- ", style), Text(words[2:], style))
        console.print(Padding(shown, (0, 0, 0, len(text) - len(words)), expand=False), width=console.width)

    def table(self, title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """As every command's tables."""
        self.output.table(title, headers, rows)

    def _console(self) -> Console:
        console = self.output.console
        console.width = min(console.width, _WIDEST)
        console.soft_wrap = False  # in a file too the story is wrapped, not cut
        return console


class Spinner:
    """One line that says what is being trained, gone afterwards."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        self.status = self.console.status("")
        self.running: list[str] = []
        self.ended = 0

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """Counts the step, and shows those under way."""
        if status == "running":
            self.running.append(name)
            self.status.start()
        elif name in self.running:
            self.running.remove(name)
            self.ended += 1
        self.status.update(f"{self.ended} steps done, now {', '.join(self.running)}")
        if not self.running:
            self.status.stop()

    def note(self, text: str) -> None:
        """Prints the text."""
        self.console.print(f"[dim]{text}[/]")


def _progress(output: Output) -> Progress:
    from everfit.cli.progress import Lines

    return Spinner() if sys.stderr.isatty() and not output.json else Lines(quiet=True)
