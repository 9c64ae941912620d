"""The recipes that training is compared with, each from a table and a split to scores of the test rows, in one thread.

`sources`: scikit-learn's RandomizedSearchCV over a pipeline of scaler, one-hot encoder and model, for logistic
regression, random forest, gradient boosting and XGBoost; the best by cross-validation. `optuna`: LightGBM tuned by
Optuna, folds pruned by the median. `flaml`: FLAML in an environment of its own. `everfit`: the steps of `everfit run`
from the encoder to calibrated scores, with the default families.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.training_tables import Table
from everfit.adapters.executors.serial import SerialExecutor
from everfit.flow.run import Silent
from everfit.flow.steps import features, model, scoring
from everfit.project.sections.data import Split
from everfit.project.sections.training import Training
from everfit.records.model import Problem
from everfit.records.table import Task
from everfit.training import families

Scores = NDArray[np.float64]
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Effort:
    """How much the others may try: draws of a random search, trials of Optuna, FLAML's seconds."""

    draws: int = 20
    trials: int = 20
    seconds: int = 30


def everfit(table: Table, test: NDArray[np.bool_], _effort: Effort) -> tuple[Scores, str]:
    """The steps of the product itself, one after the other."""
    training = Training()
    metric = "rmse" if table.task is Task.REGRESSION else "roc_auc"
    problem, executor = Problem(table.task, "y", table.classes, metric), SerialExecutor()
    encoder = features.encoder(table.features, test)
    weight = np.empty(0)
    rows = features.searched_rows(table.truth, test, training.budget.rows, training.seed)
    folds = features.folds(
        table.features, table.truth, weight, rows, problem, Split(), None, table.features, _FOLDS, training.seed
    )
    terms = model.terms(problem, encoder, None, {}, training.seed)
    choices = families.competing(training)
    firsts = tuple(model.first(choice, folds, problem, terms, executor) for choice in choices)
    going = model.going(firsts)
    searched = tuple(
        model.tuned(
            choice, first, model.granted(choice, going, training.budget.trials), folds, problem, terms, None, executor,
            Silent(),
        )
        for choice, first in zip(choices, firsts, strict=True)
    )  # fmt: skip
    blended = model.blended(searched, folds, problem)
    best = model.best(model.candidates(searched, blended), training.select)
    held_out = model.out_of_fold(best, searched, blended)
    calibration = scoring.calibration(held_out, table.truth, rows, problem, training.calibration, training.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = model.estimator(
            best, choices, encoder, table.features, table.truth, weight, test, terms, 1, Path(folder)
        )
        scores = scoring.scores(path, (), encoder, table.features, calibration)
    return scores[test], best.family


def sources(table: Table, test: NDArray[np.bool_], effort: Effort) -> tuple[Scores, str]:
    """The best of four random searches by its cross-validated score."""
    from sklearn.model_selection import RandomizedSearchCV

    x, y = table.features.to_pandas(), table.truth
    searches = {
        name: RandomizedSearchCV(
            _pipeline(table, estimator),
            {f"model__{key}": values for key, values in space.items()},
            n_iter=min(effort.draws, _size(space)),
            cv=_FOLDS,
            scoring={Task.REGRESSION: "r2", Task.BINARY: "roc_auc"}.get(table.task, "roc_auc_ovr"),
            random_state=0,
        ).fit(x[~test], y[~test])
        for name, (estimator, space) in _families(table.task).items()
    }
    name = max(searches, key=lambda one: searches[one].best_score_)
    best = searches[name].best_estimator_
    found = best.predict(x[test]) if table.task is Task.REGRESSION else best.predict_proba(x[test])
    return np.asarray(found, dtype=np.float64), name


def optuna(table: Table, test: NDArray[np.bool_], effort: Effort) -> tuple[Scores, str]:
    """LightGBM on ordinal codes, its settings by Optuna."""
    import lightgbm
    import optuna as tuner
    from sklearn.model_selection import KFold, StratifiedKFold

    tuner.logging.set_verbosity(tuner.logging.WARNING)
    x, y = _codes(table), table.truth
    kind = lightgbm.LGBMRegressor if table.task is Task.REGRESSION else lightgbm.LGBMClassifier
    cut = (KFold if table.task is Task.REGRESSION else StratifiedKFold)(_FOLDS, shuffle=True, random_state=0)
    folds = list(cut.split(x[~test], y[~test]))

    def build(trial: Any) -> Any:
        return kind(
            n_estimators=trial.suggest_int("n_estimators", 50, 500, log=True),
            learning_rate=trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            num_leaves=trial.suggest_int("num_leaves", 4, 64, log=True),
            min_child_samples=trial.suggest_int("min_child_samples", 5, 100, log=True),
            subsample=trial.suggest_float("subsample", 0.5, 1.0),
            subsample_freq=1,
            colsample_bytree=trial.suggest_float("colsample_bytree", 0.3, 1.0),
            reg_lambda=trial.suggest_float("reg_lambda", 0.01, 30.0, log=True),
            random_state=0,
            n_jobs=1,
            verbose=-1,
        )

    def objective(trial: Any) -> float:
        scores: list[float] = []
        for step, (fit, check) in enumerate(folds):
            fitted = build(trial).fit(x[~test][fit], y[~test][fit])
            scores.append(_judged(table, fitted, x[~test][check], y[~test][check]))
            trial.report(float(np.mean(scores)), step)
            if trial.should_prune():
                raise tuner.TrialPruned
        return float(np.mean(scores))

    study = tuner.create_study(direction="maximize", sampler=tuner.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=effort.trials)
    best = build(tuner.trial.FixedTrial(study.best_params)).fit(x[~test], y[~test])
    found = best.predict(x[test]) if table.task is Task.REGRESSION else best.predict_proba(x[test])
    return np.asarray(found, dtype=np.float64), "lightgbm"


def flaml(table: Table, test: NDArray[np.bool_], effort: Effort, python: Path) -> tuple[Scores, str]:
    """FLAML in another environment: it pins versions of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.features.filter(~test).write_csv(folder / "train.csv")
        table.features.filter(test).write_csv(folder / "test.csv")
        np.save(folder / "truth.npy", table.truth[~test])
        asked = {"task": table.task.value, "seconds": effort.seconds}
        (folder / "asked.json").write_text(json.dumps(asked))
        child = [str(python), str(Path(__file__).with_name("training_flaml.py")), str(folder)]
        done = subprocess.run(child, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return np.load(folder / "scores.npy"), (folder / "family.txt").read_text()


def flaml_environment(folder: Path) -> Path | None:
    """The Python of an environment with FLAML in that folder, made if it is not there; None where it cannot be."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = subprocess.run([str(python), "-c", "import flaml.automl"], capture_output=True, check=False)
    if installed.returncode:
        made = subprocess.run([str(python), "-m", "pip", "install", "-q", "flaml[automl]"], check=False)
        return None if made.returncode else python
    return python


def _judged(table: Table, fitted: Any, x: Any, y: NDArray[Any]) -> float:
    from sklearn.metrics import r2_score, roc_auc_score

    if table.task is Task.REGRESSION:
        return float(r2_score(y, fitted.predict(x)))
    found = fitted.predict_proba(x)
    return float(roc_auc_score(y, found[:, 1] if table.task is Task.BINARY else found, multi_class="ovr"))


def _pipeline(table: Table, estimator: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [column.name for column in table.features if column.dtype.is_numeric()]
    levels = [name for name in table.features.columns if name not in numbers]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), levels),
        ]
    )
    return Pipeline([("prepare", prepare), ("model", estimator)])


def _families(task: Task) -> dict[str, tuple[Any, dict[str, list[Any]]]]:
    from sklearn import ensemble, linear_model
    from xgboost import XGBClassifier, XGBRegressor

    regression = task is Task.REGRESSION
    linear = linear_model.Ridge() if regression else linear_model.LogisticRegression(max_iter=1000)
    forest = ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier
    boosting = ensemble.GradientBoostingRegressor if regression else ensemble.GradientBoostingClassifier
    xgboost = XGBRegressor if regression else XGBClassifier
    strengths = list(np.logspace(-3, 2, 30))
    return {
        "logistic": (linear, {"alpha" if regression else "C": strengths}),
        "random_forest": (
            forest(random_state=0, n_jobs=1),
            {"n_estimators": [100, 200, 300], "max_depth": [5, 10, 15, None], "min_samples_split": [2, 5, 10],
             "min_samples_leaf": [1, 2, 4]},
        ),
        "gradient_boosting": (
            boosting(random_state=0),
            {"n_estimators": [100, 200, 300], "learning_rate": [0.01, 0.05, 0.1, 0.2], "max_depth": [3, 4, 5],
             "subsample": [0.8, 0.9, 1.0]},
        ),
        "xgboost": (
            xgboost(random_state=0, n_jobs=1),
            {"n_estimators": [100, 200, 300], "learning_rate": [0.01, 0.05, 0.1, 0.2], "max_depth": [3, 5, 7],
             "subsample": [0.8, 0.9, 1.0], "colsample_bytree": [0.8, 0.9, 1.0]},
        ),
    }  # fmt: skip


def _size(space: dict[str, list[Any]]) -> int:
    return int(np.prod([len(values) for values in space.values()]))


def _codes(table: Table) -> NDArray[np.float64]:
    """Levels as numbers, in the order of the alphabet; missing values stay missing."""
    columns = [
        column if column.dtype.is_numeric() else column.cast(pl.Categorical).to_physical() for column in table.features
    ]
    return np.column_stack([column.cast(pl.Float64).to_numpy() for column in columns])


RECIPES: dict[str, Callable[[Table, NDArray[np.bool_], Effort], tuple[Scores, str]]] = {
    "everfit": everfit,
    "sources": sources,
    "optuna + lightgbm": optuna,
}
