"""Section `serving`: the REST server."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from everfit.project.quantities import Duration
from everfit.project.sections.section import Section


class Response(Section):
    """What an answer of /predict looks like."""

    score: str = Field("score", description="The name of the score, for example churn_probability.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="What to call each class, for example {Yes: High Risk, No: Low Risk}."
    )
    features: bool = Field(False, description="Whether the answer shows the features that the model read.")


class Limits(Section):
    """What a request may not pass."""

    body: int = Field(1_000_000, ge=1, description="Bytes of a request body.")
    rows: int = Field(1_000, ge=1, description="Rows of one request.")
    depth: int = Field(8, ge=2, description="Nesting of the JSON.")


class Log(Section):
    """The prediction log. Whatever is set, an answered prediction survives kill -9 of the server."""

    fsync: Duration | Literal["always", "never"] = Field(
        timedelta(seconds=1),
        description="How much a loss of power may cost: so much of the last answers, nothing (`always`), or what the "
        "system has not written yet (`never`).",
    )
    keep: Duration | None = Field(None, description="How long predictions are kept; for ever if not given.")
    size: int | None = Field(None, ge=1, description="Bytes of Parquet kept; all of it if not given.")


class Serving(Section):
    """The REST server."""

    host: str = Field("127.0.0.1", description="The address to bind; everything but loopback is refused for now.")
    port: int = Field(8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    refresh: Duration = Field("1s", validate_default=True, description="How often the server looks for a new release.")
    response: Response = Field(default_factory=Response, description="What an answer looks like.")
    limits: Limits = Field(default_factory=Limits, description="What a request may not pass.")
    log: Log = Field(default_factory=Log, description="The prediction log.")
