"""Sections `training` and `gates`: which models compete, how, and what the winner must reach."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from everfit.project.sections.section import Section, named

Param = str | int | float | bool | None
Executor = Literal["processes", "serial", "ray"] | Annotated[str, Field(pattern=r"^ray://[\w.\[\]:-]+:\d+$")]


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

    models: tuple[Annotated[ModelChoice, named(ModelChoice, "name")], ...] = Field(
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
    calibration: Literal["auto", "none", "isotonic", "platt"] = Field(
        "auto",
        description="How scores are made probabilities, on out-of-fold scores; auto takes what lowers the Brier score.",
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
    r2: float | None = Field(None, description="Least coefficient of determination.")
    rmse: float | None = Field(None, description="Greatest root mean squared error.")
    mae: float | None = Field(None, description="Greatest mean absolute error.")
    not_worse_than: Literal["production"] | None = Field(
        None, description="Compare with the champion on the same test rows, by the training metric."
    )
    tolerance: float = Field(0.005, ge=0, description="How much worse than the champion still counts as no worse.")
