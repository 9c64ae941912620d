"""Section `release`: how a new version comes in front of traffic."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from everfit.project.quantities import Duration, Points, Share
from everfit.project.sections.section import Section


class Verdict(Section):
    """When a canary goes on and when it goes back."""

    errors: Points = Field(0.005, description="Error rate that the challenger may have above the champion's.")
    requests: int = Field(500, ge=1, description="Least requests to the challenger before a step is judged.")
    confidence: Share = Field(
        0.95, description="One minus the chance that a challenger that is no worse is rolled back, over all steps."
    )
    deadline: Duration = Field(
        "24h", validate_default=True, description="A step with too few requests by then is rolled back."
    )


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
