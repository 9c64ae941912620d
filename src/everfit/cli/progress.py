"""How a run looks while it runs: bars on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

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
