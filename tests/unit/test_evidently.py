"""Evidently itself reports on the same windows, in an environment of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.integration.projects import SmallProject, customers

from everfit.adapters.reports.evidently import EvidentlyConfig, EvidentlyReports
from everfit.errors import StorageError
from everfit.flow import reporting
from everfit.monitoring.profile import column
from everfit.monitoring.unrolled import rows
from everfit.records.profile import ColumnProfile
from everfit.records.table import Kind
from everfit.testing.churn import TARGET
from everfit.workspace import watched

TABLE = pl.DataFrame({"age": [30.0, None], "plan": ["a", "b"]})


def asked(project: SmallProject) -> SmallProject:
    workspace = project.open("monitoring.rows=300")
    workspace.predict(customers(600, seed=5, first=20_000).drop(TARGET))
    workspace.monitor()
    return project


def test_evidently_writes_its_page_about_the_windows(released: SmallProject, evidently_python: str) -> None:
    page = asked(released).folder / "evidently.html"
    settings = ("--set", f"monitoring.evidently.python={evidently_python}")
    answer = released.call("report", "--evidently", "-o", str(page), *settings)
    assert answer.code == 0, answer.err
    text = page.read_text(encoding="utf-8")
    assert "Share of Drifted Columns" in text
    assert "monthly_charges" in text
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="https?://', text)
    assert [path.name for path in released.folder.glob("everfit-evidently-*")] == []


def test_both_windows_have_the_same_columns_and_no_personal_ones(released: SmallProject) -> None:
    workspace = asked(released).open("monitoring.rows=300")
    object.__setattr__(workspace.project.data, "personal", {"contract_type": "hash"})
    found, manifest = watched(workspace)
    assert manifest is not None
    reference, current = reporting.windows(found, manifest, workspace.clock())
    assert reference.schema == current.schema
    assert {"monthly_charges", "score"} <= set(reference.columns)
    assert "contract_type" not in reference.columns
    assert (reference.height, current.height) == (2_000, 600)


@pytest.mark.parametrize("kind", [Kind.NUMERIC, Kind.CATEGORICAL])
def test_a_profile_unrolled_has_its_distribution_again(kind: Kind) -> None:
    rng = np.random.default_rng(3)
    values = (
        rng.normal(size=5_000) if kind is Kind.NUMERIC else rng.choice(np.array(["a", "b", "c"], dtype=object), 5_000)
    )
    values[:500] = np.nan if kind is Kind.NUMERIC else None
    again = column("x", rows([column("x", values, kind)])["x"], kind)
    known = column("x", values, kind)
    assert again.nulls / again.rows == pytest.approx(known.nulls / known.rows, abs=1e-3)
    if kind is Kind.NUMERIC:
        assert (again.mean, again.std) == pytest.approx((known.mean, known.std), abs=0.01)
    else:
        assert known.counts is not None
        assert again.counts is not None
        assert {k: v / 1800 for k, v in again.counts.items()} == pytest.approx(
            {k: v / 4500 for k, v in known.counts.items()}, abs=1e-3
        )


def test_what_a_profile_cannot_give_back_is_left_out() -> None:
    assert rows([ColumnProfile("id", Kind.IDENTIFIER, 9, 0)]).columns == []


def test_a_python_without_evidently_is_told_and_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/bin/false")
    reports = EvidentlyReports(EvidentlyConfig(str(tmp_path / "python"), tmp_path))
    with pytest.raises(StorageError, match="Evidently failed"):
        reports.write(TABLE, TABLE, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["python"]


def test_nothing_released_is_nothing_to_compare(trained: SmallProject) -> None:
    answer = trained.call("report", "--evidently")
    assert answer.code == 11
    assert "nothing is released yet" in answer.err
