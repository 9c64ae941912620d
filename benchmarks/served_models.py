"""Bundles of generated customers for the benchmarks of serving, made by the stages themselves, and scikit-learn's own
pipelines over the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.compiled import file
from everfit.compiled.exactness import compare
from everfit.data import schema as schemas
from everfit.features import encoder as encoders
from everfit.features import functions, select
from everfit.features.compute import compute
from everfit.flow.steps import compiling
from everfit.flow.steps.features import kinds
from everfit.project.sections.training import ModelChoice
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Evaluation, GateReport, Lineage, Manifest, Problem
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import DatasetVersion, Kind, Row, Schema, Task
from everfit.testing.churn import ENTITY, FEATURES, POSITIVE, TARGET, customers
from everfit.training import bundle as bundles
from everfit.training.built_in import FAMILIES
from everfit.training.families import resolve
from everfit.training.fit import Sample, Terms, fit

CLASSES = ("No", POSITIVE)
_NONE = functions.load("")


@dataclass(frozen=True)
class Customers:
    """Rows to learn from, and all that is learned before a model is."""

    table: pl.DataFrame

    @classmethod
    def drawn(cls, rows: int) -> Customers:
        """So many customers, always the same."""
        return cls(customers(rows, 1, datetime(2025, 1, 1), 90).select(ENTITY, *FEATURES, TARGET))  # noqa: DTZ001  # no zone

    @cached_property
    def schema(self) -> Schema:
        return schemas.infer(self.table.drop(TARGET))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return select.select(self.schema, _NONE, target=TARGET, entity=ENTITY)

    @cached_property
    def features(self) -> dict[str, Any]:
        valid = schemas.conform(self.table.drop(TARGET), self.schema)
        return compute(_NONE, schemas.arrays(valid, self.schema, self.names), self.names)

    @cached_property
    def encoder(self) -> Encoder:
        return encoders.fit(self.features, kinds(self.features), self.names)

    @cached_property
    def matrix(self) -> Any:
        return encoders.transform(self.encoder, self.features)

    @property
    def truth(self) -> Any:
        return (self.table[TARGET] == POSITIVE).cast(pl.Int64).to_numpy()

    @property
    def example(self) -> Row:
        """The first row that lacks nothing, as a caller sends it."""
        row: Row = self.table.drop(TARGET).drop_nulls().row(0, named=True)
        return row

    def estimator(self, family: str) -> Any:
        """The family fitted with its first setting."""
        candidate = Candidate(family, FAMILIES[family].defaults, "roc_auc", 0.9, 0.0, 1)
        sample = Sample.plain(self.matrix, self.truth)
        return fit(candidate, ModelChoice(name=family), Terms(Task.BINARY, CLASSES, 1), sample)

    def bundle(self, family: str, folder: Path, rows: int, estimator: Any = None) -> Manifest:
        """The family's model as a sealed bundle, compared with its library over at least so many rows."""
        folder.mkdir()
        bundles.write_estimator(estimator or self.estimator(family), folder)
        compiling.compiled(folder, (), Problem(Task.BINARY, TARGET, CLASSES, "roc_auc"), folder)
        transform = partial(encoders.transform, self.encoder)
        form, library = file.read(folder / file.FILE), bundles.read_estimator(folder)
        exactness = compare(form, self.encoder, self.features, transform, library.score, rows=rows)
        manifest = Manifest(
            model="churn",
            task=Task.BINARY,
            target=TARGET,
            entity=ENTITY,
            classes=CLASSES,
            threshold=0.5,
            schema=self.schema,
            features=self.names,
            encoder=self.encoder,
            family=family,
            params={},
            evaluation=Evaluation({}, {}, {}, ()),
            gates=GateReport(()),
            profile=Profile((), ColumnProfile("score", Kind.NUMERIC, 0, 0), "roc_auc", 0.9, 0),
            lineage=Lineage(DatasetVersion("", self.table.height, self.table.width, ""), "", "", "", {}, 1),
            example=self.example,
            exactness=exactness,
        )
        return bundles.seal(folder, manifest)

    def pipeline(self, family: str) -> Any:
        """scikit-learn's own: a ColumnTransformer over a pandas DataFrame, and the same estimator."""
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numeric = [e.name for e in self.encoder.numeric]
        levels = [e.name for e in self.encoder.categorical]
        columns = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), levels),
        )
        found = resolve(ModelChoice(name=family), Task.BINARY, 1)
        pipeline = make_pipeline(columns, found.build(FAMILIES[family].defaults, self.matrix.shape[1]))
        pipeline.fit(self.frame(self.table), self.truth)
        return pipeline

    def frame(self, table: pl.DataFrame) -> Any:
        """The features' columns as pandas has them."""
        return read_frame(table.select(self.names), [e.name for e in self.encoder.numeric])


def read_frame(table: pl.DataFrame, numeric: list[str]) -> Any:
    """A pandas DataFrame: numbers as float64, the rest as objects."""
    import pandas as pd

    words = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
    data: dict[str, Any] = {}
    for column in table:
        text = column.dtype == pl.String
        if column.name in numeric:
            plain = column.str.to_lowercase().replace_strict(words, default=None) if text else column
            data[column.name] = plain.cast(pl.Float64).fill_null(np.nan).to_numpy()
        else:
            data[column.name] = np.array(column.to_list(), dtype=object)
    return pd.DataFrame(data)
