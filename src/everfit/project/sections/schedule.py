"""Section `schedule`: what `everfit up` does at which times of day."""

from __future__ import annotations

from pydantic import Field

from everfit.project.calendar import Cron, Zone
from everfit.project.quantities import Duration
from everfit.project.sections.section import Section


class Schedule(Section):
    """What runs by the clock in `everfit up`: times as cron writes them (minute, hour, day, month, weekday)."""

    data: Cron | None = Field(None, description="When to read the source and check it, such as `0 2 * * *`.")
    training: Cron | None = Field(
        None, description="When to train on what the source holds and release what passes, such as `0 3 * * MON`."
    )
    monitoring: Cron | None = Field(
        None, description="When to look at production, such as `*/15 * * * *`; `monitoring.every` if not given."
    )
    timezone: Zone = Field("UTC", description="The time zone of these times, such as Europe/Berlin.")
    grace: Duration = Field(
        "10m", validate_default=True, description="How late a run may begin; a later one is missed, told and not run."
    )
    retries: int = Field(2, ge=0, le=10, description="How often a run that failed is tried again.")
    delay: Duration = Field("5m", validate_default=True, description="How long after its failure it is tried again.")
