"""A model from candidate to registered version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isfinite, nan
from statistics import fmean, pstdev
from typing import Any

from everfit.records.calibration import Calibration, ThresholdChoice
from everfit.records.evaluation import Interval, LeakageWarning, Slices
from everfit.records.exactness import Exactness
from everfit.records.export import ExportedForm
from everfit.records.features import Encoder
from everfit.records.profile import Profile
from everfit.records.table import CheckResult, DatasetVersion, Row, Schema, Task, ValueRule

Param = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be predicted: `classes` in the order of the score columns, the positive one last for a binary target,
    none for regression; `metric` is what the best candidate is judged by."""

    task: Task
    target: str
    classes: tuple[str, ...]
    metric: str


class TrialStatus(StrEnum):
    """How a trial ended: judged on every fold, given up after some of them, or not trained or judged on one."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that the search tried: `scores` is its metric on each fold that it saw, in the order of the folds,
    greater always better (losses negated); `seconds` is the time that its fits and scores took, added up; `error` says
    why it failed. A trial that is not complete is never chosen."""

    family: str
    params: Mapping[str, Param]
    scores: tuple[float, ...]
    status: TrialStatus
    seconds: float
    error: str = ""

    @property
    def mean(self) -> float:
        """The mean over the folds seen; NaN where there was none.

        >>> Trial("logistic", {}, (0.8, 0.9), TrialStatus.COMPLETE, 0.1).mean.__round__(3)
        0.85
        """
        return fmean(self.scores) if self.scores else nan

    @property
    def std(self) -> float:
        """The standard deviation over the folds seen (population form); NaN where there was none."""
        return pstdev(self.scores) if self.scores else nan


@dataclass(frozen=True, slots=True)
class TrialRun:
    """A trial as the registry shows it: `params` and `metrics` have the names and signs that the version's own have."""

    family: str
    status: TrialStatus
    params: Mapping[str, Param]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Member:
    """A model in a blend, with the weight of its scores; the weights of a blend add up to 1."""

    family: str
    params: Mapping[str, Param]
    weight: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One family's best setting: `score` and `spread` are the mean and the standard deviation of `metric` over the
    cross-validation folds, greater always better (losses negated); `failed` of the `trials` settings could not be
    trained or judged on every fold; `tried` is every trial, in the order in which they were asked for;
    `scores` is the metric on each fold; `members` are the models of a blend, none for every other family."""

    family: str
    params: Mapping[str, Param]
    metric: str
    score: float
    spread: float
    trials: int
    failed: int = 0
    tried: tuple[Trial, ...] = ()
    scores: tuple[float, ...] = ()
    members: tuple[Member, ...] = ()

    @property
    def works(self) -> bool:
        """Whether a setting could be trained and judged on all folds."""
        return isfinite(self.score)


@dataclass(frozen=True, slots=True)
class Importance:
    """How much the test score falls when the feature's values are shuffled (permutation importance)."""

    feature: str
    value: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of the chosen model by name (`roc_auc`, `f1`, `rmse` ...), on training rows, test rows and over folds;
    `intervals` and `slices` are those of the test."""

    train: Mapping[str, float]
    test: Mapping[str, float]
    cv: Mapping[str, float]
    importance: tuple[Importance, ...]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    slices: Slices | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: `observed` must be >= (or, for losses, <=) `required`; None where there was nothing to compare."""

    gate: str
    observed: float | None
    required: float | None
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """All gates must pass; an empty report never does."""

    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether there is at least one gate and every one passed."""
        return bool(self.results) and all(r.passed for r in self.results)


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that a model was made from, by content hash, enough to make it again; `settings` are the sections of the
    project file that decide what is made, without where the data is and without secrets."""

    dataset: DatasetVersion
    features_hash: str
    config_hash: str
    code_hash: str
    packages: Mapping[str, str]
    seed: int
    parent: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


_SHORT = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1_score": "f1"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The first file of a bundle, `bundle.json`: everything about the model but the estimator's own numbers.

    `classes` are the target's levels in the order of the score columns (empty for regression), the positive one last
    for a binary target; `threshold` is the score from which the positive class is predicted; `files` maps each other
    file of the bundle to its SHA-256; `checks` are the values that a prediction request may hold at all;
    `quality` is the training table's quality score, 0..1, and `checked` the result of every check on it;
    `calibration` comes after the estimator's score; `threshold_choice` says why the threshold is what it is;
    `exactness` says whether the compiled form is served;
    `leakage` holds what looks like leakage; `members` are the models of a blend;
    `exports` says what came of the forms for other programs; `searched_rows` is the number of training rows that the
    search read, 0 where that was not written down.
    """

    model: str
    task: Task
    target: str
    entity: str | None
    classes: tuple[str, ...]
    threshold: float
    schema: Schema
    features: tuple[str, ...]
    encoder: Encoder
    family: str
    params: Mapping[str, Param]
    evaluation: Evaluation
    gates: GateReport
    profile: Profile
    lineage: Lineage
    example: Row
    files: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[ValueRule, ...] = ()
    quality: float = 1.0
    calibration: Calibration | None = None
    exactness: Exactness | None = None
    threshold_choice: ThresholdChoice | None = None
    members: tuple[Member, ...] = ()
    leakage: tuple[LeakageWarning, ...] = ()
    shap: tuple[Importance, ...] = ()
    exports: tuple[ExportedForm, ...] = ()
    checked: tuple[CheckResult, ...] = ()
    searched_rows: int = 0

    @property
    def title(self) -> str:
        """The model in a line."""
        return f"{self.family} for {self.target}, trained on {self.lineage.dataset.rows:,} rows"

    @property
    def metrics(self) -> Mapping[str, float]:
        """All metrics flat: `train_roc_auc`, `test_roc_auc`, `cv_mean_roc_auc` ...; and by short names those of the
        test that are looked for most, and the cross-validated training metric as `cv_mean` and `cv_std`."""
        found, metric = self.evaluation, self.profile.metric
        parts = {"train": found.train, "test": found.test, "cv": found.cv}
        flat = {f"{part}_{name}": value for part, values in parts.items() for name, value in values.items()}
        short = {name: found.test[of] for name, of in _SHORT.items() if of in found.test}
        short |= {f"cv_{of}": found.cv[f"{of}_{metric}"] for of in ("mean", "std") if f"{of}_{metric}" in found.cv}
        return {**flat, **short, "data_quality_score": self.quality}

    @property
    def parameters(self) -> Mapping[str, Param]:
        """What the training was given, flat: the family, its settings as `model.NAME`, data and code by hash."""
        return {
            "family": self.family,
            **{f"model.{name}": value for name, value in self.params.items()},
            "data_source": self.lineage.dataset.source,
            "rows": self.lineage.dataset.rows,
            "searched_rows": self.searched_rows,
            "dataset": self.lineage.dataset.fingerprint,
            "code": self.lineage.code_hash,
            "config": self.lineage.config_hash,
            "seed": self.lineage.seed,
        }


# The tag that holds the score of a version's own example, every bit of it.
EXAMPLE_SCORE = "example_score"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version. `bundle_hash` is the content hash of the bundle folder: the same bundle is never
    registered twice. `run_id` is the tracking run that holds its metrics and pictures."""

    name: str
    version: int
    bundle_hash: str
    run_id: str
    created_at: datetime
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
