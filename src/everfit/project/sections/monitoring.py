"""Sections `monitoring`, `retraining` and `alerts`: what is watched, who is told, what follows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from everfit.project.quantities import Duration, Points, Rate
from everfit.project.sections.section import Secret, Section


class Drift(Section):
    """When a column counts as drifted."""

    rule: Literal["everfit", "ks", "jensen_shannon", "psi"] = Field(
        "everfit",
        description="What calls a column drifted: everfit's tests with their stated error rate, or one of the usual "
        "rules, whose false-alarm rate is measured and printed at every look.",
    )
    floor: Points = Field(0.02, description="The least share of rows that must have moved to matter.")
    breaks: Points = Field(
        0.005, description="The least share of rows beyond the training's range, or of levels it never saw, to matter."
    )
    p_value: float = Field(0.05, gt=0, lt=1, description="Of rule `ks`: a column with a smaller p-value drifted.")
    score: float = Field(
        0.1, gt=0, description="Of rules `jensen_shannon` and `psi`: a column with a greater value drifted."
    )
    seasonal: Literal["weekday", "hour"] | None = Field(
        None,
        description="Compare each day with the same weekdays before it, or each hour with the same hours of the days "
        "before, with floors learned from those windows, instead of with the training.",
    )
    impact: Points = Field(
        0.02,
        description="The least estimated loss of the metric for which drift alone retrains, beyond the estimate's own "
        "uncertainty; of a regression, a share of its error.",
    )
    run_length: int | None = Field(
        None,
        ge=1_000,
        description="Watch every column row by row too, and alarm falsely once in so many predictions at most, on "
        "average; null for no such watch.",
    )


class Evidently(Section):
    """Evidently's own report of the windows that everfit tests."""

    python: str | None = Field(
        None,
        description="The Python of an environment that has `evidently`; one is made below `.everfit` if not given.",
    )


class Monitoring(Section):
    """Looking at production."""

    every: Duration = Field("1h", validate_default=True, description="How often to look.")
    rows: int = Field(500, ge=30, description="Least predictions in a window before it is compared.")
    window: Duration = Field("30d", validate_default=True, description="The longest window looked at.")
    drift: Drift = Field(default_factory=Drift, description="When a column counts as drifted.")
    tolerance: Points = Field(0.02, description="How far the metric may fall below the test's before it is an alarm.")
    pushgateway: str | None = Field(
        None, description="A Pushgateway's address, to which each look pushes its metrics; for looks that are jobs."
    )
    track: bool = Field(True, description="Log what each look found to MLflow: a run for each version.")
    evidently: Evidently = Field(default_factory=Evidently, description="Evidently's report of the same windows.")
    alarms: Rate = Field("1/month", validate_default=True, description="False alarms that the team accepts, in all.")


class Cost(Section):
    """What keeping the model and what retraining costs, in one unit of your choice; without both nothing is weighed."""

    retraining: float | None = Field(None, gt=0, description="One retraining: computing, review, release.")
    error: float | None = Field(
        None, gt=0, description="One point of the metric (0.01) lost, for each prediction that is made with it."
    )
    horizon: Duration = Field("30d", validate_default=True, description="How far ahead a loss is counted.")


class Retraining(Section):
    """When a new model is trained without being asked."""

    on: tuple[Literal["performance", "drift", "schedule", "data"], ...] = Field(
        ("performance", "drift"), description="What may start a retraining."
    )
    schedule: Duration = Field("30d", validate_default=True, description="Greatest age of the champion (`schedule`).")
    labels: int = Field(10_000, ge=1, description="New labels since the champion was released (`data`).")
    rows: int = Field(
        1_000,
        ge=1,
        description="Labelled predictions since performance fell, for which a retraining because of it waits where the "
        "labels tell since when.",
    )
    forget: bool = Field(
        True,
        description="After performance has fallen, learn from rows since then alone, by `data.time`: earlier ones are "
        "of another world. Later retrainings leave them out too.",
    )
    cooldown: Duration = Field("24h", validate_default=True, description="Least time between two retrainings.")
    budget: Rate | None = Field(None, description="Most retrainings without being asked, such as 4/month.")
    restore: bool = Field(
        True,
        description="After a retraining for fallen performance, retrain again when four times as many rows of the "
        "changed world have labels, as long as that brings a version that passes its gates.",
    )
    cost: Cost = Field(default_factory=Cost, description="Retrain only where keeping the model costs more.")


class Channel(Section):
    """Where alarms go."""

    kind: Literal["console", "slack", "pagerduty", "email", "webhook", "alertmanager"] = Field(
        description="console, slack, pagerduty, email, webhook or alertmanager."
    )
    url: Secret | None = Field(None, description="The incoming webhook of `slack`, or the address of `webhook`.")
    key: Secret | None = Field(
        None, description="The routing key of `pagerduty` (Events API v2), or the secret that signs a `webhook`."
    )
    server: str | None = Field(
        None,
        description="Of `alertmanager` its address; of `email` HOST:PORT; of `pagerduty` another address than "
        "https://events.pagerduty.com.",
    )
    to: tuple[str, ...] = Field((), description="Of `email`: who gets it.")
    sender: str | None = Field(None, description="Of `email`: whom it is from.")
    user: str | None = Field(None, description="Of `email`: the name to log in with.")
    password: Secret | None = Field(None, description="Of `email`: the password to log in with.")
    tls: Literal["starttls", "ssl", "none"] = Field(
        "starttls", description="Of `email`: how the connection is secured."
    )


_MAIN = {"pagerduty": "key", "alertmanager": "server"}


def channel(value: object) -> object:
    """Lets a channel be written as one word, as its kind with its main field, or as its kind with a mapping.

    >>> channel({"pagerduty": "${KEY}"}), channel({"email": {"to": ["a@b.org"]}})
    ({'kind': 'pagerduty', 'key': '${KEY}'}, {'kind': 'email', 'to': ['a@b.org']})
    """
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1 and "kind" not in value:
        ((kind, rest),) = value.items()
        return {"kind": kind, **rest} if isinstance(rest, dict) else {"kind": kind, _MAIN.get(kind, "url"): rest}
    return value
