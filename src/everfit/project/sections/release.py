"""Section `release`: how a new version comes in front of traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from everfit.project.quantities import Duration, Milliseconds, Points, Share
from everfit.project.sections.section import Section
from everfit.records.release import Criterion


class Verdict(Section):
    """By what a challenger is judged, and how sure a verdict must be. Each margin is how much worse than the champion
    it may be; a criterion without one is not judged."""

    errors: Points | None = Field(0.005, description="Share of failed requests.")
    latency_p99: Share | None = Field(
        None, description="Time that the slowest hundredth of requests take, as a share of the champion's."
    )
    latency_floor: Milliseconds = Field(
        "5ms", validate_default=True, description="A `latency_p99` below this is never too long."
    )
    scores: Points | None = Field(
        None, gt=0, description="Greatest difference of the cumulative shares of the two versions' scores."
    )
    accuracy: Points | None = Field(None, description="Share of wrong classes, as labels arrive.")
    brier: float | None = Field(None, ge=0, description="Brier score of a binary target, as labels arrive.")
    log_loss: float | None = Field(None, ge=0, description="Log loss of a binary target, as labels arrive.")
    mae: Share | None = Field(
        None, description="Mean absolute error of a number, as a share of the champion's on its test rows."
    )
    requests: int = Field(500, ge=1, description="Least requests to each version before a step ends well.")
    confidence: Share = Field(
        0.95,
        lt=1,
        description="One minus the chance that a challenger that is no worse is rolled back, over the whole release; "
        "and one minus the chance that one that is worse than a margin is promoted.",
    )
    deadline: Duration = Field("24h", validate_default=True, description="Longest time for a step.")
    inconclusive: Literal["roll_back", "promote"] = Field(
        "roll_back",
        description="What becomes of a challenger that the deadline finds neither worse nor shown to be fine. "
        "Without `requests` or a criterion's observations it is rolled back in any case.",
    )

    @property
    def margins(self) -> Mapping[Criterion, float]:
        """The margins of the criteria that are judged."""
        found = {criterion: getattr(self, criterion.value) for criterion in Criterion}
        return {criterion: float(margin) for criterion, margin in found.items() if margin is not None}

    @model_validator(mode="after")
    def _judged_by_something(self) -> Verdict:
        if not self.margins:
            raise ValueError("a verdict needs at least one criterion; errors: 0.5pp is the plainest")
        return self


class Release(Section):
    """How a new version comes in front of traffic."""

    strategy: Literal["immediate", "canary"] = Field("canary", description="All at once, or step by step.")
    steps: tuple[Share, ...] = Field((0.1, 0.5), min_length=1, description="The canary's shares of traffic, rising.")
    verdict: Verdict = Field(default_factory=Verdict, description="When a canary goes on and when it goes back.")
    look: Duration = Field("10s", validate_default=True, description="How often `everfit up` looks at a canary.")

    approve: dict[str, int] = Field(
        default_factory=dict, description="Approvals that a version needs in each environment: {production: 1}."
    )
    approvers: tuple[str, ...] = Field((), description="Who may approve; nobody approves a version of their own.")

    foreign: Literal["undo", "adopt", "report"] = Field(
        "undo",
        description="What becomes of an alias that somebody moved in MLflow by hand: it is put back, adopted by the "
        "ledger's own rules, or left. An alarm tells of it in any case.",
    )

    @model_validator(mode="after")
    def _enough_approvers(self) -> Release:
        most = max(self.approve.values(), default=0)
        if min(self.approve.values(), default=0) < 0 or most > len(set(self.approvers)):
            raise ValueError(f"{most} approvals need at least as many names in approvers")
        return self

    @model_validator(mode="after")
    def _steps_rise(self) -> Release:
        if any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)) or self.steps[0] <= 0:
            raise ValueError("steps must rise from above 0%")
        return self
