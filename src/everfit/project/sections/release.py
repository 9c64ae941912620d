"""Section `release`: how a new version comes in front of traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from everfit.project.quantities import Duration, Milliseconds, Points, Share
from everfit.project.sections.section import Section
from everfit.records.release import LABELLED, Criterion, Strategy


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


class Rolling(Section):
    """Strategy `rolling`: in equal parts, as time passes and nothing is shown to be worse."""

    batches: int = Field(4, ge=2, le=100, description="In how many parts the traffic moves.")
    pause: Duration = Field("1m", validate_default=True, description="Time between two parts.")


class BlueGreen(Section):
    """Strategy `blue_green`: loaded beside the old version everywhere, then all at once."""

    after: Duration = Field("10s", validate_default=True, description="Time for every server to load the new version.")


class Shadow(Section):
    """Strategy `shadow`: on copies of requests, answering nobody."""

    then: Literal["canary", "promote"] = Field("canary", description="What follows when nothing is against it.")


_MOST_ARMS = 10


class AbTest(Section):
    """Strategy `ab`: each entity keeps its arm until it is decided."""

    arms: dict[str, Share] = Field(
        default_factory=lambda: {"control": 0.5, "treatment": 0.5},
        description="The names of the arms, the champion's first, each with its share of entities.",
    )
    horizon: Duration | None = Field(
        None, description="When it is decided; as soon as the verdict is clear if not given."
    )

    @model_validator(mode="after")
    def _several_arms(self) -> AbTest:
        few = not 2 <= len(self.arms) <= _MOST_ARMS
        if few or abs(sum(self.arms.values()) - 1) > 1e-9 or not all(self.arms.values()):
            raise ValueError(f"an A/B test has two to {_MOST_ARMS} arms, and their shares sum to 100%")
        if any(not name or "," in name for name in self.arms):
            raise ValueError("the name of an arm is a word without a comma")
        return self


class Thompson(Section):
    """Strategy `thompson`: the share follows the chance that the new version has the better labels."""

    challengers: int = Field(1, ge=1, lt=_MOST_ARMS, description="How many new versions take part.")
    start: Share = Field(0.1, gt=0, lt=1, description="A new version's share until labels arrive.")
    floor: Share = Field(0.2, gt=0, lt=1, description="Share that the champion keeps in any case.")
    explore: Share = Field(0.05, gt=0, lt=1, description="Share that a new version keeps in any case.")
    every: Duration = Field("1h", validate_default=True, description="How often the share is set anew.")


class Target(Section):
    """Where the champion's bundle is copied to, and the one that a rollback would bring back."""

    folder: str = Field(
        description="A folder, also a mounted bucket: deploy/production. Relative to the project file, one for each "
        "environment."
    )


class Guard(Section):
    """What takes a version back at once, whatever the strategy."""

    smoke: Milliseconds = Field(
        "1s", validate_default=True, description="Longest time to answer the model's own example, before any traffic."
    )
    burst: Share = Field(0.2, gt=0, lt=1, description="A version that fails more of its requests is rolled back.")
    window: Duration = Field("1h", validate_default=True, description="How long a new champion is held to `burst`.")
    automatic: bool = Field(True, description="Whether a version that no server can load is rolled back by itself.")


class Release(Section):
    """How a new version comes in front of traffic."""

    strategy: Strategy = Field(Strategy.CANARY, description="All at once, step by step, or in another way.")
    steps: tuple[Share, ...] = Field((0.1, 0.5), min_length=1, description="The canary's shares of traffic, rising.")
    rolling: Rolling = Field(default_factory=Rolling, description="Settings of the strategy `rolling`.")
    blue_green: BlueGreen = Field(default_factory=BlueGreen, description="Settings of the strategy `blue_green`.")
    shadow: Shadow = Field(default_factory=Shadow, description="Settings of the strategy `shadow`.")
    ab: AbTest = Field(default_factory=AbTest, description="Settings of the strategy `ab`.")
    thompson: Thompson = Field(default_factory=Thompson, description="Settings of the strategy `thompson`.")
    guard: Guard = Field(default_factory=Guard, description="What takes a version back at once.")
    verdict: Verdict = Field(default_factory=Verdict, description="When a canary goes on and when it goes back.")
    look: Duration = Field(
        "1s",
        validate_default=True,
        description="How often `everfit up` looks at a canary; less often where looking would take more than a "
        "twentieth of the time.",
    )

    target: Target | None = Field(None, description="Where what is released is copied to; nowhere if not given.")
    approve: dict[str, int] = Field(
        default_factory=dict, description="Approvals that a version needs in each environment: {production: 1}."
    )
    approvers: tuple[str, ...] = Field((), description="Who may approve; nobody approves a version of their own.")
    identity: Literal["key", "local"] = Field(
        "key",
        description="How an approver shows who they are: by a key of that name with the role `operate` or `admin`, or "
        "by saying so.",
    )

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
    def _thompson_learns(self) -> Release:
        if self.strategy is Strategy.THOMPSON and not self.verdict.margins.keys() & LABELLED:
            raise ValueError("thompson needs a criterion on labels: verdict.accuracy, brier, log_loss or mae")
        thompson = self.thompson
        if thompson.floor + thompson.challengers * thompson.explore >= 1:
            raise ValueError("thompson.floor and thompson.explore leave nothing to decide")
        if thompson.challengers > 1 and thompson.challengers * thompson.start > 1 - thompson.floor:
            raise ValueError("thompson.start gives the new versions more than thompson.floor leaves")
        return self

    @model_validator(mode="after")
    def _steps_rise(self) -> Release:
        if any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)) or self.steps[0] <= 0:
            raise ValueError("steps must rise from above 0%")
        return self
