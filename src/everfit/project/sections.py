"""The typed definition of everfit.yaml, section by section; every field's description is its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, SecretStr, Tag, model_validator

from everfit.project.quantities import Duration, Points, Rate, Share
from everfit.records.table import Kind, Severity


class FromEnvironment(str):
    """Text that came from `${VAR}`: the only text that a secret accepts."""

    __slots__ = ()


def _only_from_environment(value: object) -> object:
    if isinstance(value, (FromEnvironment, SecretStr)):
        if not (value if isinstance(value, str) else value.get_secret_value()):
            raise ValueError("the environment variable is empty")
        return value
    raise ValueError("a secret is never written into the file; put it into the environment and write ${NAME}")


Secret = Annotated[SecretStr, BeforeValidator(_only_from_environment)]


class Section(BaseModel):
    """A part of the project file: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def _named(section: type[Section], field: str) -> Any:
    """Lets a section be written as one word, standing for its main field."""

    def expand(value: object) -> object:
        return {field: value} if isinstance(value, str) else value

    return BeforeValidator(expand, json_schema_input_type=section | str)


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
    target: Annotated[Target, _named(Target, "column")] = Field(description="The column to predict, or a mapping.")
    entity: str | None = Field(None, description="The column that identifies whom a row is about.")
    time: str | None = Field(None, description="The column that says when the row was true.")
    columns: dict[str, Kind] = Field(default_factory=dict, description="Column kinds where inference should not guess.")
    exclude: tuple[str, ...] = Field((), description="Columns that are read and checked but never become features.")
    split: Split = Field(default_factory=Split, description="How rows are set aside for the test.")
    personal: dict[str, Literal["drop", "hash", "redact"]] = Field(
        default_factory=dict, description="Columns with personal data and what is done to them before storing."
    )
    key: Secret | None = Field(None, description="The secret key for `personal: hash`.")

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

Param = str | int | float | bool | None


class ModelChoice(Section):
    """A model family, with settings of one's own where wanted."""

    name: str = Field(description="A built-in family, or the name of your own.")
    estimator: str | None = Field(
        None, alias="class", description="Dotted path of a scikit-learn compatible estimator, for a family of your own."
    )
    params: dict[str, Param] = Field(default_factory=dict, description="Fixed settings.")
    space: dict[str, tuple[Param, ...]] = Field(
        default_factory=dict, description="Settings to search: each draw takes one value of each."
    )


class Budget(Section):
    """How much the search may try."""

    trials: int = Field(12, ge=1, description="Settings tried for each family.")
    folds: int = Field(5, ge=2, description="Cross-validation folds.")


class Training(Section):
    """Which models compete, and how."""

    models: tuple[Annotated[ModelChoice, _named(ModelChoice, "name")], ...] = Field(
        (
            ModelChoice(name="logistic"),
            ModelChoice(name="random_forest"),
            ModelChoice(name="gradient_boosting"),
            ModelChoice(name="xgboost"),
        ),
        min_length=1,
        description="The families that compete.",
    )
    metric: str | None = Field(
        None, description="What the best is judged by: roc_auc, or rmse for regression, if not given."
    )
    budget: Budget = Field(default_factory=Budget, description="How much the search may try.")
    seed: int = Field(42, ge=0, description="The seed of everything random.")
    executor: Literal["processes", "serial"] = Field("processes", description="Where trials run.")
    workers: int = Field(0, ge=0, description="Worker processes; 0 means one a core.")

    @property
    def trusted(self) -> tuple[str, ...]:
        """The types that a bundle of this project may hold beyond scikit-learn's: its own estimators."""
        return tuple(choice.estimator for choice in self.models if choice.estimator)


class Gates(Section):
    """What a model must reach before it is registered; all of them must hold on the test rows."""

    accuracy: float | None = Field(None, description="Least accuracy.")
    precision: float | None = Field(None, description="Least precision (weighted over classes if there are several).")
    recall: float | None = Field(None, description="Least recall (weighted over classes if there are several).")
    f1: float | None = Field(None, description="Least F1 (weighted over classes if there are several).")
    f1_macro: float | None = Field(None, description="Least F1, each class counting the same.")
    roc_auc: float | None = Field(None, description="Least area under the ROC curve (one-vs-rest for several classes).")
    log_loss: float | None = Field(None, description="Greatest log loss.")
    brier: float | None = Field(None, description="Greatest Brier score.")
    r2: float | None = Field(None, description="Least coefficient of determination.")
    rmse: float | None = Field(None, description="Greatest root mean squared error.")
    mae: float | None = Field(None, description="Greatest mean absolute error.")
    not_worse_than: Literal["production"] | None = Field(
        None, description="Compare with the champion on the same test rows, by the training metric."
    )
    tolerance: float = Field(0.005, ge=0, description="How much worse than the champion still counts as no worse.")


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

    @model_validator(mode="after")
    def _steps_rise(self) -> Release:
        if any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)) or self.steps[0] <= 0:
            raise ValueError("steps must rise from above 0%")
        return self


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


class Serving(Section):
    """The REST server."""

    host: str = Field("127.0.0.1", description="The address to bind; everything but loopback is refused for now.")
    port: int = Field(8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    refresh: Duration = Field("1s", validate_default=True, description="How often the server looks for a new release.")
    response: Response = Field(default_factory=Response, description="What an answer looks like.")
    limits: Limits = Field(default_factory=Limits, description="What a request may not pass.")


class Drift(Section):
    """When a column counts as drifted."""

    floor: Points = Field(0.02, description="The least share of rows that must have moved to matter.")
    impact: Points = Field(0.01, description="The least estimated loss of the metric for which drift alone retrains.")


class Monitoring(Section):
    """Looking at production."""

    every: Duration = Field("1h", validate_default=True, description="How often to look.")
    rows: int = Field(500, ge=30, description="Least predictions in a window before it is compared.")
    window: Duration = Field("30d", validate_default=True, description="The longest window looked at.")
    drift: Drift = Field(default_factory=Drift, description="When a column counts as drifted.")
    tolerance: Points = Field(0.02, description="How far the metric may fall below the test's before it is an alarm.")
    alarms: Rate = Field("1/month", validate_default=True, description="False alarms that the team accepts, in all.")


class Retraining(Section):
    """When a new model is trained without being asked."""

    on: tuple[Literal["performance", "drift", "schedule"], ...] = Field(
        ("performance", "drift"), description="What may start a retraining."
    )
    schedule: Duration = Field("30d", validate_default=True, description="Greatest age of the champion (`schedule`).")
    cooldown: Duration = Field("24h", validate_default=True, description="Least time between two retrainings.")


class Channel(Section):
    """Where alarms go."""

    kind: Literal["console", "webhook"] = Field(description="console, or webhook with a URL.")
    url: Secret | None = Field(None, description="The webhook's URL.")


def _channel(value: object) -> object:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1 and "kind" not in value:
        ((kind, url),) = value.items()
        return {"kind": kind, "url": url}
    return value


class Backends(Section):
    """What stores the state; each default is a file below `.everfit/ENVIRONMENT`."""

    tracking: str | None = Field(None, description="MLflow's tracking URI; a SQLite file if not given.")
    experiment: str | None = Field(None, description="MLflow's experiment; the project's name if not given.")
    model: str | None = Field(None, description="The registered model's name; the project's name if not given.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags on every run, such as team or stage.")


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
    release: Annotated[Release, _named(Release, "strategy")] = Field(
        default_factory=Release, description="How a new version comes in front of traffic."
    )
    serving: Serving = Field(default_factory=Serving, description="The REST server.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Looking at production.")
    retraining: Retraining = Field(default_factory=Retraining, description="When a new model is trained unasked.")
    alerts: tuple[
        Annotated[Channel, BeforeValidator(_channel, json_schema_input_type=Channel | str | dict[str, str])], ...
    ] = Field((Channel(kind="console"),), description="Where alarms go.")
    backends: Backends = Field(default_factory=Backends, description="What stores the state.")
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="What differs in each environment, such as staging and production."
    )
