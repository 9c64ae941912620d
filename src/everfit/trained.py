"""What a training run came to, each part loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everfit.flow.run import Run
    from everfit.records.evaluation import Difference, LeakageWarning
    from everfit.records.model import Candidate, Evaluation, GateReport
    from everfit.records.table import QualityReport


@dataclass(frozen=True)
class Trained:
    """What a training run came to."""

    run: Run

    @property
    def version(self) -> int:
        """The registered version's number."""
        number: int = self.run["version"].version
        return number

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every family's best setting and the blend: the chosen one first, then by score; those that could not be
        trained last."""
        chosen = self.run["best"].family
        return tuple(sorted(self.run["candidates"], key=lambda c: (c.family != chosen, -c.score)))

    @property
    def evaluation(self) -> Evaluation:
        """The metrics of the chosen model."""
        found: Evaluation = self.run["evaluation"]
        return found

    @property
    def gates(self) -> GateReport:
        """What every gate observed and required, the comparison with the champion last."""
        from everfit.records.model import GateReport

        return GateReport((*self.run["gates"].results, *self.run["comparison"].results))

    @property
    def card(self) -> Path:
        """The model card as a page, in the bundle."""
        bundle: Path = self.run["bundle"]
        return bundle / "card.html"

    @property
    def leakage(self) -> tuple[LeakageWarning, ...]:
        """What looks as if the model were told the answer."""
        found: tuple[LeakageWarning, ...] = self.run["leakage_warnings"]
        return found

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The chosen model against the champion on the same test rows, by metric; empty while there is none."""
        found: tuple[Difference, ...] = self.run["differences"]
        return found

    @property
    def quality(self) -> QualityReport:
        """The result of every check on the data."""
        found: QualityReport = self.run["quality"]
        return found

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each step took when it was last really run."""
        return {s.name: s.seconds for s in self.run.record.steps}

    def took(self, family: str) -> float:
        """The seconds of a family's search, or of the blend."""
        steps = ("blended",) if family == "blend" else (f"first_{family}", f"search_{family}")
        return sum(self.seconds.get(name, 0.0) for name in steps)
