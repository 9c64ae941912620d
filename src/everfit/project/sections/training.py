"""Sections `training` and `gates`: which models compete, how, and what the winner must reach."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from everfit.project.quantities import Share
from everfit.project.sections.section import Section, named

Param = str | int | float | bool | None
Executor = Literal["processes", "serial", "ray"] | Annotated[str, Field(pattern=r"^ray://[\w.\[\]:-]+:\d+$")]
ClassWeight = Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None


class Direction(StrEnum):
    """Which way the score may go as a feature grows."""

    INCREASING = "increasing"
    DECREASING = "decreasing"


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

    trials: int = Field(8, ge=1, description="Settings tried for each family that stays in the race.")
    seconds: float | None = Field(
        None, gt=0, description="After this long no new settings are begun; the first of each family always is."
    )
    folds: int = Field(5, ge=2, description="Cross-validation folds.")
    rows: int = Field(
        50_000,
        ge=1_000,
        description="Training rows that the search reads at most, drawn at random; the best is fitted on all of them.",
    )


class Cost(Section):
    """What each kind of wrong answer costs, in any unit."""

    false_positive: float = Field(1, gt=0, description="Cost of calling a negative row positive.")
    false_negative: float = Field(1, gt=0, description="Cost of missing a positive row.")


class Threshold(Section):
    """The score from which a row counts as positive: a number, or what it is chosen for. One of these."""

    at: Share | None = Field(None, description="This very score; 0.5 if nothing is given.")
    best: Literal["f1"] | None = Field(None, description="The metric that is to be greatest.")
    cost: Cost | None = Field(None, description="What wrong answers cost: the total is to be least.")
    precision_at_recall: Share | None = Field(
        None, description="The greatest precision while recall is at least this share."
    )
    recall_at_precision: Share | None = Field(
        None, description="The greatest recall while precision is at least this share."
    )

    @model_validator(mode="after")
    def _one_objective(self) -> Threshold:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"one objective is enough: {', '.join(given)} are given")
        return self


def _threshold(value: object) -> object:
    """A word is the metric that is to be greatest, any other scalar the score itself."""
    if isinstance(value, str) and value.isidentifier():
        return {"best": value}
    return {"at": value} if isinstance(value, str | int | float) else value


_WRITTEN = BeforeValidator(_threshold, json_schema_input_type=Threshold | float | str)


class Training(Section):
    """Which models compete, and how."""

    models: tuple[Annotated[ModelChoice, named(ModelChoice, "name")], ...] = Field(
        (
            ModelChoice(name="logistic"),
            ModelChoice(name="spline_logistic"),
            ModelChoice(name="random_forest"),
            ModelChoice(name="gradient_boosting"),
            ModelChoice(name="lightgbm"),
            ModelChoice(name="xgboost"),
        ),
        min_length=1,
        description="The families that compete; of the default ones, those that are installed.",
    )
    metric: str | None = Field(
        None, description="What the best is judged by: roc_auc, or rmse for regression, if not given."
    )
    budget: Budget = Field(default_factory=Budget, description="How much the search may try.")
    class_weight: ClassWeight = Field(
        None,
        description="What rows count in fitting by their class: `balanced`, or a weight by class, 1 for the others.",
    )
    monotone: dict[str, Direction] = Field(
        default_factory=dict, description="Numeric features with which the score may only increase, or only decrease."
    )
    calibration: Literal["auto", "none", "isotonic", "platt"] = Field(
        "auto",
        description="How scores are made probabilities, on out-of-fold scores; auto takes what lowers the Brier score.",
    )
    threshold: Annotated[Threshold, BeforeValidator(_threshold, json_schema_input_type=Threshold | float | str)] = (
        Field(
            default_factory=Threshold,
            description="The score from which a row counts as positive: a number, `f1`, or an objective.",
        )
    )
    search: Literal["race", "random"] = Field(
        "race", description="race: settings and families that fall behind are pruned; random: all settings, all folds."
    )
    select: Literal["simplest", "best"] = Field(
        "simplest",
        description="simplest: the simplest model that is worse than the best by no more than noise or a trifle; best: "
        "the best mean.",
    )
    blend: bool = Field(True, description="Whether a weighted mean of the best different models competes too.")
    shap: bool = Field(False, description="Whether the card has SHAP values: the mean size of what each feature adds.")
    export: tuple[Literal["skops", "onnx"], ...] = Field(
        (),
        description="Forms for other programs, in the bundle's folder `export`: `skops`, `onnx` (needs the extra "
        "`onnx`). They take encoded rows.",
    )
    seed: int = Field(42, ge=0, description="The seed of everything random.")
    executor: Executor = Field(
        "processes",
        description="Where trials run: here in processes, serial (one after the other), on a Ray of the run's own, or "
        "on the cluster at ray://HOST:PORT.",
    )
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
    ece: float | None = Field(None, description="Greatest expected calibration error.")
    r2: float | None = Field(None, description="Least coefficient of determination.")
    rmse: float | None = Field(None, description="Greatest root mean squared error.")
    mae: float | None = Field(None, description="Greatest mean absolute error.")
    not_worse_than: Literal["production"] | None = Field(
        None, description="Compare with the champion on the same test rows, by the training metric."
    )
    tolerance: float = Field(0.005, ge=0, description="How much worse than the champion still counts as no worse.")
    confident: bool = Field(
        False, description="Whether the worse end of each metric's 95% interval has to hold, not the metric itself."
    )
