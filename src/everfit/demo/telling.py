"""How the story is told: chapters, facts for machines, and what came out otherwise than told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from everfit.demo.world import Clock, World
from everfit.workspace import Workspace


class Teller(Protocol):
    """Shows the story to somebody."""

    def chapter(self, number: int, title: str) -> None:
        """A heading."""
        ...

    def line(self, text: str, style: str = "") -> None:
        """A sentence or two, wrapped; the style is a colour, `bold` or `dim`."""
        ...

    def table(self, title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table."""
        ...


@dataclass
class Story:
    """A story under way. `facts` has an entry a chapter; `surprises` is what the story did not expect."""

    folder: Path
    workspace: Workspace
    world: World
    clock: Clock
    teller: Teller
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def chapter(self, key: str, title: str) -> dict[str, Any]:
        """Begins a chapter and returns where its facts go."""
        self.facts[key] = {}
        self.teller.chapter(len(self.facts), title)
        return self.facts[key]

    def expect(self, holds: bool, otherwise: str) -> bool:
        """Says and remembers `otherwise` when the story goes another way; true when it does not."""
        if not holds:
            self.surprises.append(otherwise)
            self.teller.line(f"Unexpected: {otherwise}", "bold red")
        return holds

    def day(self, moment: datetime | None = None) -> int:
        """The day of the story, 0 at the first release."""
        return ((moment or self.clock.now) - self.world.start).days


def sentence(words: str) -> str:
    """The words with a capital at the beginning.

    >>> sentence("roc_auc of version 1 fell")
    'Roc_auc of version 1 fell'
    """
    return words[:1].upper() + words[1:]
