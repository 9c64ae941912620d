"""From parts to a sealed bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.data import recent, schema
from everfit.evaluation import card as cards
from everfit.evaluation.card_markdown import markdown
from everfit.evaluation.card_page import page
from everfit.features.functions import Functions, inputs
from everfit.project.sections.data import Check, ColumnCheck, Data
from everfit.records.calibration import Calibration, ThresholdChoice
from everfit.records.evaluation import LeakageWarning
from everfit.records.exactness import Exactness
from everfit.records.export import ExportedForm
from everfit.records.features import Encoder
from everfit.records.model import (
    Candidate,
    Evaluation,
    GateReport,
    Importance,
    Lineage,
    Manifest,
    Problem,
)
from everfit.records.profile import Profile
from everfit.records.table import DatasetVersion, Kind, QualityReport, Row, Schema, Severity, ValueRule
from everfit.training import bundle as bundles


def lineage(
    dataset: DatasetVersion,
    functions: Functions,
    code: str,
    config: str,
    settings: Mapping[str, Any],
    packages: Mapping[str, str],
    seed: int,
) -> Lineage:
    """All that the model is made from, by content."""
    return Lineage(dataset, functions.digest, config, code, packages, seed, settings=settings)


def example(
    table: pl.DataFrame, valid: pl.DataFrame, columns: Schema, functions: Functions, names: tuple[str, ...], data: Data
) -> dict[str, str | int | float | bool | None]:
    """The first complete row as a caller would send it: the entity and the columns that the features read."""
    wanted = [*filter(None, [data.entity]), *(n for n in inputs(functions, names) if n != data.entity)]
    complete = valid.select(pl.all_horizontal(pl.col(wanted).is_not_null()).arg_max()).item()
    read = {name: valid[name][complete] for name in wanted}
    place = _place(table, columns, data, complete)
    raw = {name: table[name][place] for name in wanted}
    # A number is sent as a number even where the file wrote it as text; the rest as the file has it.
    return {n: read[n] if columns[n].kind is Kind.NUMERIC else _plain(raw[n]) for n in wanted}


def _place(table: pl.DataFrame, columns: Schema, data: Data, row: int) -> int:
    """Where a row of the valid table stands in the one that was read."""
    if data.since is None or data.time is None:
        return row
    times = schema.conform(table.select(data.time), Schema((columns[data.time],)))[data.time]
    return int(recent.places(times, data.since)[row])


def manifest(
    model: str,
    problem: Problem,
    data: Data,
    columns: Schema,
    names: tuple[str, ...],
    encoder: Encoder,
    best: Candidate,
    searched_rows: np.ndarray[Any, Any],
    evaluation: Evaluation,
    gates: GateReport,
    profile: Profile,
    lineage: Lineage,
    example: Row,
    rules: tuple[Check, ...],
    quality: QualityReport,
    calibration: Calibration,
    exactness: Exactness,
    threshold: ThresholdChoice,
    leakage_warnings: tuple[LeakageWarning, ...],
    shap_importance: tuple[Importance, ...],
    exports: tuple[ExportedForm, ...],
) -> Manifest:
    """Everything about the model but the estimator's own numbers."""
    return Manifest(
        model=model,
        task=problem.task,
        target=problem.target,
        entity=data.entity,
        classes=problem.classes,
        threshold=threshold.value,
        schema=columns,
        features=names,
        encoder=encoder,
        family=best.family,
        params=best.params,
        members=best.members,
        evaluation=evaluation,
        gates=gates,
        profile=profile,
        lineage=lineage,
        example=example,
        checks=value_rules(rules),
        quality=quality.score,
        calibration=calibration,
        exactness=exactness,
        threshold_choice=threshold,
        leakage=leakage_warnings,
        shap=shap_importance,
        exports=exports,
        checked=quality.results,
        searched_rows=int(searched_rows.sum()),
    )


def bundle(
    manifest: Manifest,
    estimator: Path,
    compiled: Path,
    exported: Path,
    functions: Functions,
    pictures: dict[str, bytes],
    reports: dict[str, bytes],
    candidates: tuple[Candidate, ...],
    into: Path,
) -> Path:
    """The folder that is registered and served: estimator, its compiled form where that is exact, forms for
    other programs where asked for, features, pictures, reports, card, sealed by `bundle.json`."""
    shutil.copytree(estimator, into, dirs_exist_ok=True)
    if manifest.exactness is not None and manifest.exactness.holds:
        shutil.copytree(compiled, into, dirs_exist_ok=True)
    if manifest.exports:
        shutil.copytree(exported, into / "export")
    (into / "features.py").write_text(functions.source, encoding="utf-8")
    (into / "pictures").mkdir()
    for name, content in pictures.items():
        (into / "pictures" / name).write_bytes(content)
    card = cards.card(manifest, candidates)
    written = {"card.md": markdown(card).encode(), "card.html": page(card, pictures).encode()}
    written["card.json"] = json.dumps(cards.document(card), indent=1, ensure_ascii=False).encode()
    for name, content in (written | reports).items():
        (into / name).write_bytes(content)
    bundles.seal(into, manifest)
    return into


def value_rules(rules: tuple[Check, ...]) -> tuple[ValueRule, ...]:
    """The checks that a single request can break too; warnings are not among them."""
    return tuple(
        ValueRule(rule.column, rule.min, rule.max, rule.allowed)
        for rule in rules
        if isinstance(rule, ColumnCheck) and rule.severity is Severity.ERROR
        if (rule.min, rule.max, rule.allowed) != (None, None, None)
    )


def _plain(value: object) -> str | int | float | bool | None:
    """As JSON has it; what a file writes as a whole number is one to whoever reads that file."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and str(int(value)) == value:
        return int(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
