"""The whole of everfit.yaml: every section, the stores, the environments."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from everfit.project.calendar import pauses
from everfit.project.quantities import format_duration
from everfit.project.sections.data import Check, Data, Features
from everfit.project.sections.monitoring import Channel, Monitoring, Retraining, channel
from everfit.project.sections.release import Release
from everfit.project.sections.schedule import Schedule
from everfit.project.sections.section import Address, Section, named
from everfit.project.sections.serving import Serving
from everfit.project.sections.training import Gates, Training
from everfit.records.release import LABELLED


class Backends(Section):
    """What stores the state; each default is a file below `.everfit/ENVIRONMENT`."""

    tracking: str | None = Field(None, description="MLflow's tracking URI; a SQLite file if not given.")
    experiment: str | None = Field(None, description="MLflow's experiment; the project's name if not given.")
    model: str | None = Field(None, description="The registered model's name; the project's name if not given.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags on every run, such as team or stage.")
    state: Address | None = Field(
        None,
        description="Where ledger, runs and alarms are kept, such as postgresql://USER@HOST/DATABASE; ${NAME} where it "
        "holds a password; a SQLite file if not given.",
    )

    @property
    def state_place(self) -> str | None:
        """Where the state is, without who enters and how; None for the file."""
        if self.state is None:
            return None
        parts = urlsplit(self.state.get_secret_value())
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @field_validator("state")
    @classmethod
    def _is_postgresql(cls, value: Address | None) -> Address | None:
        schemes = ("postgresql://", "postgresql+psycopg2://", "postgres://", "${")  # the last one is told elsewhere
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError("state is kept in PostgreSQL: write postgresql://USER@HOST/DATABASE")
        return value


class Project(Section):
    """everfit.yaml."""

    name: str = Field(
        alias="project",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$",
        description="The project's name: letters, digits, _, -.",
    )
    version: str = Field("1.0.0", description="The project's own version, for people.")
    data: Data = Field(description="Where the table is and what its columns mean.")
    features: Features = Field(default_factory=Features, description="What the model reads.")
    checks: tuple[Check, ...] = Field((), description="What the data must be like.")
    training: Training = Field(default_factory=Training, description="Which models compete, and how.")
    gates: Gates = Field(default_factory=Gates, description="What a model must reach before it is registered.")
    release: Annotated[Release, named(Release, "strategy")] = Field(
        default_factory=Release, description="How a new version comes in front of traffic."
    )
    serving: Serving = Field(default_factory=Serving, description="The REST server.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Looking at production.")
    retraining: Retraining = Field(default_factory=Retraining, description="When a new model is trained unasked.")
    schedule: Schedule = Field(default_factory=Schedule, description="What `everfit up` does by the clock.")
    alerts: tuple[
        Annotated[Channel, BeforeValidator(channel, json_schema_input_type=Channel | str | dict[str, str])], ...
    ] = Field((Channel(kind="console"),), description="Where alarms go.")
    backends: Backends = Field(default_factory=Backends, description="What stores the state.")
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="What differs in each environment, such as staging and production."
    )

    @cached_property
    def looking(self) -> Monitoring:
        """`monitoring` as it is lived: its `every` is the mean time between two looks where `schedule.monitoring` says
        when they are, so that the rate of false alarms in a look follows from how many looks there are."""
        plan = self.schedule
        if plan.monitoring is None:
            return self.monitoring
        found = pauses(plan.monitoring, plan.timezone)
        return self.monitoring.model_copy(update={"every": sum(found, timedelta(0)) / len(found)})

    @model_validator(mode="after")
    def _labels_come_before_the_deadline(self) -> Project:
        verdict, delay = self.release.verdict, self.data.target.delay
        if verdict.margins.keys() & LABELLED and verdict.deadline <= delay:
            raise ValueError(
                f"release.verdict judges by labels, which take {format_duration(delay)}, and its deadline is "
                f"{format_duration(verdict.deadline)}; set a later deadline"
            )
        return self
