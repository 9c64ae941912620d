"""The report: one page that loads nothing, shows first what matters most, and no personal values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.integration.projects import SmallProject, customers

from everfit.monitoring.profile import column
from everfit.monitoring.shapes import shape
from everfit.records.cohorts import Cohort, Cohorts
from everfit.records.profile import ColumnProfile
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.shape import Shape
from everfit.records.table import Kind, Severity
from everfit.records.watch import (
    Alarm,
    AlarmKind,
    AlarmState,
    ColumnDrift,
    Decision,
    DriftReport,
    MonitorReport,
    PerformanceReport,
)
from everfit.reporting.page import page
from everfit.reporting.pictures import Line, Point, bars, course
from everfit.reporting.report import ColumnView, Report
from everfit.reports import report
from everfit.testing.churn import TARGET

AT = datetime(2026, 1, 5, tzinfo=UTC)
HOSTILE = '<img src="https://evil.example/x.png" onerror="alert(1)">'
AGE = ColumnDrift("age", "kolmogorov_smirnov", 0.3, 0.0, 0.0, 0.3, True, influence=0.4)
PLAN = ColumnDrift("plan", "chi_square", 0.1, 1e-4, 1e-3, 0.5, True, influence=0.1)
CALM = ColumnDrift("tenure", "kolmogorov_smirnov", 0.01, 0.4, 1.0, 0.01, False)
DRIFT = DriftReport(500, AT, AT + timedelta(hours=1), (AGE, PLAN, CALM), AGE, 0.001, 0.02)
JUDGED = PerformanceReport("roc_auc", 0.8, 0.7, 0.9, 0.84, 600, 0.75, False, 0.001, 0.81, 0.8)
LOOK = MonitorReport(AT, 500, DRIFT, JUDGED, None, (), Decision(AT, False, None, ("nothing speaks for it",)), version=1)
SHAPE = Shape("age", ("0", "1", "2"), (0.5, 0.5), (0.2, 0.8), binned=True)


def made(**changed: object) -> Report:
    views = tuple(ColumnView(one.column, (one,), replace(SHAPE, column=one.column)) for one in (CALM, PLAN, AGE))
    found = Report("churn", "dev", AT, 1, "logistic", 500, AT, AT, views, ColumnView("score", (AGE,), SHAPE), (LOOK,))
    return replace(found, **changed)  # type: ignore[arg-type]


def pictures(text: str) -> list[ET.Element]:
    """Every picture of the page, read as XML."""
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = page(made())
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import|https?://", text)
    assert "default-src 'none'" in text
    assert len(pictures(text)) == 5  # performance, score, three columns


def test_hostile_names_stay_text() -> None:
    view = ColumnView(HOSTILE, (replace(AGE, column=HOSTILE),), replace(SHAPE, column=HOSTILE, labels=(HOSTILE,) * 3))
    alarm = Alarm("k", AlarmKind.DRIFT, AT, HOSTILE, cause=HOSTILE)
    text = page(made(project=HOSTILE, columns=(view,), alarms=(alarm,)))
    assert "<img" not in text
    assert pictures(text)


def test_columns_that_matter_come_first() -> None:
    text = page(made())
    places = [text.index(f'<td class="name">{name}</td>') for name in ("age", "plan", "tenure")]
    assert places == sorted(places)


def test_a_personal_column_is_named_and_not_drawn() -> None:
    text = page(made(columns=(ColumnView("email", (CALM,), None, personal=True),)))
    assert "personal: not shown" in text


def test_checks_that_failed_stand_with_their_share_before_and_now() -> None:
    failed = FailedCheck("nulls", "age", Severity.WARNING, "9.00%", "at most 5.00%", 0.09, 0.04, 1e-6, is_news=True)
    first = QualityLook(AT, Origin.PREDICTIONS, 500, 1.0, 3, (), 0.01, "1")
    text = page(made(checked=(first, replace(first, at=AT + timedelta(days=1), score=0.67, failed=(failed,)))))
    assert "4.00% → 9.00%" in text
    assert '<b class="bad">67%</b>' in text
    assert "2 of 3 checks pass on 500 rows" in text


def test_weeks_stand_with_their_bounds() -> None:
    weeks = tuple(Cohort(AT + timedelta(days=7 * n), 100, 90, 80, 0, 0.8 - n / 10, 0.7, 0.9) for n in range(3))
    text = page(made(cohorts=Cohorts(1, "roc_auc", 0.84, (*weeks, Cohort(AT + timedelta(days=21), 100, 0, 0)))))
    assert "week of 2026-01-19: roc_auc 0.6 (0.7 to 0.9), 80 of 90 due have a label" in text
    assert "week of 2026-01-26" not in text


def test_open_alarms_stand_with_their_id_and_resolved_ones_do_not() -> None:
    opened = Alarm("a", AlarmKind.DRIFT, AT, "age moved", cause="Likely cause: others are asking.")
    over = replace(opened, key="b", message="plan moved", state=AlarmState.RESOLVED)
    text = page(made(alarms=(opened, over)))
    assert opened.id in text
    assert "Likely cause: others are asking." in text
    assert "plan moved" not in text


def test_a_project_nobody_has_looked_at_has_a_page_that_says_so() -> None:
    text = page(Report("churn", "dev", AT))
    assert "Nobody has looked yet" in text
    assert "nothing is released" in text


def test_a_fallen_metric_is_red_and_below_the_line() -> None:
    bad = Point(AT, 0.5, 0.45, 0.55, "roc_auc 0.5", bad=True)
    drawn = ET.fromstring(course([bad], [Line(0.8, "limit", "tolerated")], "roc_auc"))
    dot, limit = drawn.find(".//circle"), drawn.find(".//line[@class='limit']")
    assert dot is not None
    assert limit is not None
    assert dot.get("class") == "bad"
    assert float(dot.get("cy", 0)) > float(limit.get("y1", 0))


@pytest.mark.parametrize("found", [SHAPE, replace(SHAPE, labels=("a", "b"), binned=False, missing_now=0.3)])
def test_bars_stay_within_their_picture(found: Shape) -> None:
    drawn = ET.fromstring(bars(found))
    for rect in drawn.iter("rect"):
        assert float(rect.get("y", 0)) >= 0
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= 180.1


def known(values: list[object], kind: Kind = Kind.NUMERIC) -> ColumnProfile:
    dtype = object if kind is Kind.CATEGORICAL else float
    return column("x", np.array(values, dtype=dtype), kind)


def test_numbers_are_binned_on_one_scale_and_tails_fall_into_the_last_bins() -> None:
    rng = np.random.default_rng(3)
    found = shape(known(list(rng.normal(size=5000))), np.append(rng.normal(1, 1, 4999), 1e9))
    assert found is not None
    assert found.binned
    assert len(found.labels) == len(found.then) + 1
    assert float(found.labels[-1]) < 10
    assert [sum(found.then), sum(found.now)] == pytest.approx([1, 1])


def test_few_numbers_are_drawn_one_by_one() -> None:
    found = shape(known([0.0, 1.0, 1.0, np.nan]), np.array([1.0, 2.0, 2.0, 2.0]))
    assert found is not None
    assert (found.labels, found.then, found.now) == (("0", "1", "2"), (0.25, 0.5, 0.0), (0.0, 0.25, 0.75))
    assert found.missing_then == 0.25


def test_rare_levels_are_one_bar() -> None:
    many: list[object] = [f"level {n}" for n in range(50) for _ in range(50 - n)]
    found = shape(known(many, Kind.CATEGORICAL), np.array(["new"] * 10, dtype=object))
    assert found is not None
    assert (len(found.labels), found.labels[-2], found.labels[-1]) == (9, "new", "other")
    assert sum(found.then) == pytest.approx(1)


def test_identifiers_and_hashed_levels_are_not_drawn() -> None:
    many: list[object] = [f"c{n}" for n in range(1500)]
    assert shape(known(many, Kind.CATEGORICAL), np.array(many, dtype=object)) is None
    assert shape(ColumnProfile("id", Kind.IDENTIFIER, 9, 0), np.array(many, dtype=object)) is None


def test_the_command_writes_what_the_looks_found_and_looks_at_nothing_itself(released: SmallProject) -> None:
    workspace = released.open("monitoring.rows=300")
    workspace.predict(customers(600, seed=5, first=20_000).drop(TARGET))
    workspace.monitor()
    file = released.folder / "out" / "report.html"
    answer = released.call("report", "-o", str(file), "--set", "monitoring.rows=300")
    assert answer.code == 0, answer.err
    text = file.read_text(encoding="utf-8")
    assert '<td class="name">tenure</td>' in text
    assert "600 predictions" in text
    assert len(workspace.ports.state.read("looks")) == 1
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_personal_columns_of_a_project_have_no_picture(released: SmallProject) -> None:
    workspace = released.open()
    workspace.predict(customers(600, seed=5, first=20_000).drop(TARGET))
    object.__setattr__(workspace.project.data, "personal", {"contract_type": "hash"})
    views = {view.name: view for view in report(workspace).columns}
    assert views["contract_type"].shape is None
    assert views["contract_type"].personal
    assert views["tenure"].shape is not None


def test_a_report_that_cannot_be_written_says_so(released: SmallProject) -> None:
    answer = released.call("report", "-o", str(released.folder / "everfit.yaml" / "report.html"))
    assert answer.code == 8
    assert "the report cannot be written: Not a directory" in answer.err


def test_a_project_never_run_has_no_report(project: Callable[..., SmallProject]) -> None:
    answer = project().call("report")
    assert answer.code == 11
    assert "nothing to report" in answer.err
