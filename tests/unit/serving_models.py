"""Small real bundles for the tests of serving, each made once a session."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.compiled import file
from everfit.compiled.exactness import compare
from everfit.data import schema as schemas
from everfit.data import target as targets
from everfit.features import encoder as encoders
from everfit.features import functions, select, values
from everfit.features.compute import compute
from everfit.flow.steps import compiling
from everfit.monitoring.profile import profile
from everfit.project.sections.data import Target
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate, Evaluation, GateReport, Lineage, Manifest, Problem
from everfit.records.prediction import Logged, PredictionRecord
from everfit.records.release import Arm, RouteTable
from everfit.records.table import DatasetVersion, Kind, Row, ValueRule
from everfit.serving.model import Model, open_model
from everfit.serving.rows import RawRow
from everfit.serving.segments import chosen, columns
from everfit.training import bundle as bundles
from everfit.training.fit import Sample, Terms, fit

SOURCE = """
import numpy as np

def charge_per_month(charges, tenure):
    return charges / (tenure + 1)

def signup_year(signup):
    return signup.astype("datetime64[Y]").astype(float)
"""

GOOD: Row = {
    "customerID": "c-7",
    "tenure": 12,
    "charges": "29.85",
    "plan": "basic",
    "senior": "Yes",
    "signup": "2023-04-01",
}
RULES = (ValueRule("tenure", 0, 120), ValueRule("charges", max=1000), ValueRule("plan", allowed=("basic", "full")))


def table(rows: int = 240) -> pl.DataFrame:
    """Customers; whoever is new and pays much leaves."""
    rng = np.random.default_rng(3)
    tenure, charges = rng.integers(0, 72, rows), rng.normal(60, 20, rows).round(2)
    risk = charges - tenure + rng.normal(0, 10, rows)
    return pl.DataFrame(
        {
            "customerID": [f"c-{i}" for i in range(rows)],
            "tenure": tenure,
            "charges": [f"{c}" if i % 9 else " " for i, c in enumerate(charges)],
            "plan": rng.choice(["basic", "full"], rows),
            "senior": rng.choice(["Yes", "No"], rows),
            "signup": [f"20{20 + i % 4}-0{1 + i % 9}-01" for i in range(rows)],
            "Churn": np.where(risk > 25, "Yes", "No"),
            "risk": risk,
            "level": np.where(risk > 40, "high", np.where(risk > 10, "middle", "low")),
        }
    )


@lru_cache
def bundle(
    target: str = "Churn",
    source: str = SOURCE,
    rules: tuple[ValueRule, ...] = RULES,
    family: str = "logistic",
    compiled: bool = True,
) -> Path:
    """A sealed bundle for the target: Churn, level (three classes) or risk (a number); as a rule in compiled form."""
    others = {"Churn", "risk", "level"} - {target}
    frame = table().drop(others)
    schema = schemas.infer(frame)
    valid = schemas.conform(frame, schema)
    aim = Target(column=target)
    task = targets.task(schema, aim)
    classes = targets.classes(frame, aim, task)
    y = targets.encode(frame, target, classes, task)
    loaded = functions.load(source)
    names = select.select(schema, loaded, target=target, entity="customerID")
    columns = schemas.arrays(valid, schema, functions.inputs(loaded, names))
    features = compute(loaded, columns, names)
    encoder = encoders.fit(features, values.kinds(features, schema), names)
    candidate = Candidate(family, {}, "roc_auc", 0.9, 0.0, 1)
    matrix = encoders.transform(encoder, features)
    folder = Path(tempfile.mkdtemp(prefix="everfit-serving-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    problem = Problem(task, target, classes, "roc_auc")
    choice = ModelChoice(name=family)
    fitted = fit(candidate, choice, Terms(task, classes, 1), Sample.plain(matrix, y))
    bundles.write_estimator(fitted, folder)
    exactness = None
    if compiled:
        compiling.compiled(folder, (), problem, folder)
        library, form = bundles.read_estimator(folder), file.read(folder / file.FILE)
        exactness = compare(form, encoder, features, partial(encoders.transform, encoder), library.score, rows=500)
        assert exactness.holds, exactness.reason
    (folder / "features.py").write_text(source, encoding="utf-8")
    bundles.seal(
        folder,
        Manifest(
            model="churn",
            task=task,
            target=target,
            entity="customerID",
            classes=classes,
            threshold=0.5,
            schema=schema,
            features=names,
            encoder=encoder,
            family=family,
            params={},
            evaluation=Evaluation({}, {}, {}, ()),
            gates=GateReport(()),
            profile=profile(features, values.kinds(features, schema), np.array([0.5]), "roc_auc", 0.9, 48),
            lineage=Lineage(DatasetVersion("ab", len(frame), frame.width, "t.csv"), loaded.digest, "", "", {}, 1),
            example=GOOD,
            checks=rules,
            exactness=exactness,
        ),
    )
    return folder


@lru_cache
def model(target: str = "Churn") -> Model:
    """The bundle opened."""
    return open_model(bundle(target))


def scoring(model: Model, score: Callable[[Any], Any]) -> Model:
    """The model with another estimator, which may do anything."""

    @dataclass
    class Other:
        def score(self, matrix: Any) -> Any:
            return score(matrix)

    return replace(model, scorer=Other(), compiled=None)


def one(version: int = 1) -> RouteTable:
    """All traffic to one version."""
    return RouteTable(version, (Arm("champion", version, 1.0),))


def canary(share: float = 0.5) -> RouteTable:
    """Version 1 against version 2."""
    return RouteTable(9, (Arm("champion", 1, 1 - share), Arm("challenger", 2, share)))


@dataclass
class MemoryLog:
    """A PredictionLog that keeps its records in a list."""

    records: list[PredictionRecord] = field(default_factory=list)

    def append(self, records: Sequence[Logged]) -> None:
        for one in records:
            self.records.extend([one] if isinstance(one, PredictionRecord) else one.records())

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        return iter(self.records)

    def frame(
        self,
        fields: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        features: Mapping[str, Kind] | None = None,
        inputs: Mapping[str, Kind] | None = None,
        classes: Sequence[str] = (),
    ) -> pl.DataFrame:
        wanted = chosen.wanted(fields, features or {}, inputs or {}, classes)
        return chosen.of_parquet(columns.table(list(self.read(since, until))), wanted)

    def tend(self) -> None:
        """It is in order."""


@dataclass
class MemoryStore:
    """An OnlineStore over a dictionary."""

    rows: dict[str, Row]

    def put(self, entity: str, table: pl.DataFrame) -> int:
        raise NotImplementedError

    def get(self, key: str) -> Row | None:
        return self.rows.get(key)


def without(row: RawRow, *names: str) -> dict[str, object]:
    """The row lacking some columns."""
    return {name: value for name, value in row.items() if name not in names}
