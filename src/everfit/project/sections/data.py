"""Sections `data`, `features` and `checks`: the table, what its columns mean, what it must be like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from everfit.project.quantities import Duration, Share
from everfit.project.sections.section import Secret, Section, named
from everfit.records.table import Kind, Severity


class Target(Section):
    """What is predicted."""

    column: str = Field(description="The column to predict.")
    positive: str | int | bool | None = Field(
        None, description="For a two-valued target, the value that counts as positive; the rarer one if not given."
    )
    task: Literal["binary", "multiclass", "regression"] | None = Field(
        None, description="The kind of prediction; inferred from the values if not given."
    )
    delay: Duration = Field(
        "0s", validate_default=True, description="How long after a prediction its label is expected."
    )


class Split(Section):
    """How rows are set aside for the test."""

    test: Share = Field(0.2, description="Share of rows held out for the test.")
    by: Literal["random", "time", "group"] = Field(
        "random",
        description="random: stratified by class; time: the newest rows are the test; group: no group in both parts.",
    )
    group: str | None = Field(None, description="The column that names the group, for `by: group`.")
    seed: int = Field(42, ge=0, description="The seed of the split; apart from training.seed, so that test rows stay.")

    @model_validator(mode="after")
    def _group_is_named(self) -> Split:
        if self.by == "group" and self.group is None:
            raise ValueError("`by: group` needs `group: COLUMN`")
        return self


class Data(Section):
    """Where the table is and what its columns mean."""

    source: str = Field(description="A CSV or Parquet file, a glob of them, or a URL; relative to the project file.")
    target: Annotated[Target, named(Target, "column")] = Field(description="The column to predict, or a mapping.")
    entity: str | None = Field(None, description="The column that identifies whom a row is about.")
    time: str | None = Field(None, description="The column that says when the row was true.")
    since: datetime | None = Field(
        None, description="Rows whose `data.time` is earlier are checked, and left out of training and test."
    )
    weight: str | None = Field(None, description="The column that says how much a row counts in fitting; no feature.")
    columns: dict[str, Kind] = Field(default_factory=dict, description="Column kinds where inference should not guess.")
    exclude: tuple[str, ...] = Field((), description="Columns that are read and checked but never become features.")
    split: Split = Field(default_factory=Split, description="How rows are set aside for the test.")
    personal: dict[str, Literal["drop", "hash", "redact"]] = Field(
        default_factory=dict, description="Columns with personal data and what is done to them before storing."
    )
    key: Secret | None = Field(None, description="The secret key for `personal: hash`.")

    @model_validator(mode="after")
    def _since_has_time(self) -> Data:
        if self.since is not None and self.time is None:
            raise ValueError("`since` needs `time: COLUMN`, the column that says when a row was true")
        return self

    @model_validator(mode="after")
    def _hash_has_key(self) -> Data:
        if "hash" in self.personal.values() and self.key is None:
            raise ValueError("`personal: hash` needs `key: ${NAME}`, a secret from the environment")
        return self


class Features(Section):
    """What the model reads."""

    file: str = Field("features.py", description="The file of feature functions; may be absent.")
    use: tuple[str, ...] | None = Field(
        None, description="Columns and functions to use; everything usable if not given."
    )


class Bounds(Section):
    """A closed range; an absent end is open."""

    min: float | None = Field(None, description="Least allowed value.")
    max: float | None = Field(None, description="Greatest allowed value.")


class ColumnCheck(Section):
    """What one column must be like. That it exists is always checked."""

    column: str = Field(description="The column.")
    type: Kind | None = Field(None, description="The kind that its values must read as.")
    nulls: Share | None = Field(None, description="Greatest allowed share of missing values.")
    min: float | None = Field(None, description="Least allowed value.")
    max: float | None = Field(None, description="Greatest allowed value.")
    allowed: tuple[str | int | float | bool, ...] | None = Field(None, description="The allowed values.")
    unique: bool = Field(False, description="Whether no value may occur twice.")
    severity: Severity = Field(Severity.ERROR, description="error stops the run, warning does not.")


class TableCheck(Section):
    """What the whole table must be like."""

    rows: Bounds | None = Field(None, description="Bounds on the number of rows.")
    nulls: Share | None = Field(None, description="Greatest allowed share of missing cells.")
    duplicates: Share | None = Field(None, description="Greatest allowed share of rows that repeat another.")
    class_share: Share | None = Field(None, description="Least share of rows that each class of the target must have.")
    severity: Severity = Field(Severity.ERROR, description="error stops the run, warning does not.")


def _check_kind(value: Any) -> str:
    has = "column" in value if isinstance(value, dict) else isinstance(value, ColumnCheck)
    return "column check" if has else "table check"


# The tags stand in the locations of errors, so they must not look like keys.
Check = Annotated[
    Annotated[ColumnCheck, Tag("column check")] | Annotated[TableCheck, Tag("table check")], Discriminator(_check_kind)
]
