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
    time: Duration = Field("30s", validate_default=True, description="How long a request may take to arrive.")
    concurrency: int = Field(1_000, ge=1, description="Requests under way at once in each worker; more get 429.")
    rate: float | None = Field(
        None, gt=0, description="Requests a second that each key may send to each worker; any number if not given."
    )


class Tls(Section):
    """HTTPS by files in PEM form, relative to the project file."""

    certificate: str = Field(description="The server's certificate, with its chain.")
    key: str = Field(description="The file of the certificate's private key.")
    authority: str | None = Field(None, description="Whose certificates callers must show; none if not given.")


class Grpc(Section):
    """The Open Inference Protocol over gRPC, on the address of the REST server; needs the extra `grpc`."""

    port: int = Field(8001, ge=0, le=65535, description="The port; 0 takes a free one, with one worker.")


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

    host: str = Field(
        "127.0.0.1",
        description="The address to bind; beyond loopback only once a key exists (`everfit keys add`) or "
        "`tls.authority` is set.",
    )
    port: int = Field(8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    hosts: tuple[str, ...] = Field(
        (), description="Names that the server answers for; loopback's, or any once bound beyond it, if none is given."
    )
    tls: Tls | None = Field(None, description="HTTPS; plain HTTP if not given.")
    grpc: Grpc | None = Field(None, description="The inference protocol over gRPC too; not if not given.")
    workers: int = Field(1, ge=1, description="Processes that answer, on one port.")
    refresh: Duration = Field(
        "1s",
        validate_default=True,
        description="How often the server looks for a new release by itself; on one machine it hears of it at once.",
    )
    batching: Literal["auto", "never"] = Field(
        "auto",
        description="Whether requests that come while a model computes are answered together, where it has no compiled "
        "form.",
    )
    response: Response = Field(default_factory=Response, description="What an answer looks like.")
    limits: Limits = Field(default_factory=Limits, description="What a request may not pass.")
    log: Log = Field(default_factory=Log, description="The prediction log.")
