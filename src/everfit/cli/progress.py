"""How a run looks while it runs: bars on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from everfit.ports import Source

# Seconds between two lines about a file's rows.
_EVERY = 10

_MARKS = {"done": "[green]✓[/]", "cached": "[cyan]=[/]", "failed": "[red]✗[/]"}


class Lines:
    """One line on standard error as each step ends."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """Prints ended steps only; those that never began are in the run's record."""
        if status not in ("running", "skipped") and not self.quiet:
            print(f"{status:>8}  {name:<28} {seconds:7.2f} s  {why}", file=sys.stderr)

    def note(self, text: str) -> None:
        """Prints the text."""
        if not self.quiet:
            print(f"{'':>8}  {text}", file=sys.stderr)


class Bars:
    """A spinner for each step under way, a line above for each that ended."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(20, pulse_style="cyan"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """Starts or ends the step's spinner."""
        if status == "running":
            self.progress.start()
            self.tasks[name] = self.progress.add_task(name, total=None)
            return
        if status == "skipped":  # there may be twenty of them, between the step that failed and the message
            return
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        mark = _MARKS.get(status, " ")
        self.progress.console.print(f"{mark} {name:<28} {seconds:7.2f} s  [dim]{why}[/]", highlight=False)
        if not self.tasks:
            self.progress.stop()

    def note(self, text: str) -> None:
        """Prints the text above the spinners."""
        self.progress.console.print(f"  [dim]{text}[/]")


class Rows:
    """How far a file is: a bar with rows a second on a terminal, a line every ten seconds elsewhere. Rows are counted
    first where the source can do it."""

    def __init__(self, source: Source, quiet: bool = False) -> None:
        from everfit.ports import Batches

        self.quiet = quiet
        self.total = source.count() if isinstance(source, Batches) and not quiet else None
        self.bar = self._bar() if sys.stderr.isatty() and not quiet else None
        self.started = self.said = monotonic()
        self.first: int | None = None

    def _bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        speed = TextColumn("{task.fields[speed]}")
        columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        progress.add_task("rows", total=self.total, speed="")
        return progress

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def tell(self, done: int) -> None:
        """So many rows are done."""
        now = monotonic()
        if self.first is None:  # rows of an earlier run are no work of this one
            self.first, self.started = done, now
        speed = f"{(done - self.first) / max(now - self.started, 1e-9):,.0f} rows/s" if done > self.first else ""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, speed=speed)
        elif not self.quiet and now - self.said >= _EVERY:
            self.said = now
            print(f"{done:,} of {self.total or done:,} rows  {speed}", file=sys.stderr)
