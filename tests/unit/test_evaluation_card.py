import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from math import inf
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from everfit.evaluation import card as cards
from everfit.evaluation.card_markdown import markdown
from everfit.evaluation.card_page import page
from everfit.evaluation.class_report import classification_report
from everfit.records.calibration import Calibration, Method, Platt, ThresholdChoice
from everfit.records.evaluation import Interval, LeakageWarning, LeakKind, Slice, Slices
from everfit.records.export import ExportedForm
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Evaluation, GateReport, GateResult, Importance, Lineage, Manifest
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Column, DatasetVersion, Kind, Schema, Task

CANDIDATES = (
    Candidate("logistic", {}, "roc_auc", 0.83, 0.011, 5),
    Candidate("random_forest", {}, "roc_auc", 0.84, 0.012, 5, 1),
)
FULL = Slices(
    "roc_auc",
    (
        Slice("plan", "<b>basic</b>", 90, 0.71, Interval(0.6, 0.8), -0.14, 0.05, 0.002, 0.31, 0.29, True),
        Slice("age", "18 to 30", 120, 0.84, Interval(0.78, 0.9), -0.01, 0.03, 0.4, 0.2, 0.22),
    ),
    40,
    3,
)
MANIFEST = Manifest(
    model="churn",
    task=Task.BINARY,
    target="Churn",
    entity="customerID",
    classes=("No", "Yes"),
    threshold=0.4,
    schema=Schema((Column("tenure", Kind.NUMERIC), Column("Churn", Kind.CATEGORICAL))),
    features=("tenure", "contract", "ratio"),
    encoder=Encoder((), ()),
    family="random_forest",
    params={"max_depth": 10},
    evaluation=Evaluation(
        train={"roc_auc": 0.91, "f1": 0.7},
        test={"roc_auc": 0.85, "f1": 0.6, "brier": 0.14},
        cv={"mean_roc_auc": 0.84, "std_roc_auc": 0.01},
        importance=(Importance("contract", 0.05), Importance("tenure", 0.02)),
    ),
    gates=GateReport((GateResult("roc_auc", 0.85, 0.8, True, "roc_auc 0.8500 is at least 0.8000"),)),
    profile=Profile(
        columns=(
            ColumnProfile("tenure", Kind.NUMERIC, 200, 5, minimum=0.0, maximum=72.0),
            ColumnProfile("contract", Kind.CATEGORICAL, 200, 0, counts={"a": 100, "b": 100}),
        ),
        score=ColumnProfile("score", Kind.NUMERIC, 50, 0),
        metric="roc_auc",
        expected=0.85,
        labels=1409,
    ),
    lineage=Lineage(DatasetVersion("abc123", 7043, 21, "customers.csv"), "f1", "c1", "d1", {"numpy": "2.4"}, 42, 6),
    example={"tenure": 3},
)


RICH = replace(
    MANIFEST,
    evaluation=replace(MANIFEST.evaluation, intervals={"roc_auc": Interval(0.8213, 0.8746)}, slices=FULL),
    calibration=Calibration(
        Method.PLATT, (Platt(1.25, -0.5),), 5634, {"none": 0.15, "platt": 0.14}, {"none": 0.45, "platt": 0.43}, "better"
    ),
    threshold_choice=ThresholdChoice(0.4, "greatest f1", {"precision": 0.55, "recall": 0.65}),
    shap=(Importance("contract", 0.731),),
    leakage=(LeakageWarning(LeakKind.FUTURE, "<script>alert(1)</script>", "3.0% of its dates lie after"),),
)


def leaves(value: Any) -> Iterator[Any]:
    """Every figure and text of a document, keys that people read included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in KEYS:
                yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


KEYS = {"title", "summary", "verdict", "passed", "sections", "text", "points", "values", "pictures"}


def shown(value: Any) -> set[str]:
    """How a page may write a value."""
    if isinstance(value, bool):
        return {"passed" if value else "failed"}
    if value is None:
        return {"-"}
    if isinstance(value, float):
        return {f"{value:.4f}", f"{value:g}"}
    return {f"{value:,}", str(value)} if isinstance(value, int) else {escape(" ".join(value.split()))}


def card(manifest: Manifest) -> str:
    return markdown(cards.card(manifest))


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


@pytest.mark.parametrize(
    "fact",
    [
        "| Family | random_forest |",
        "| Setting max_depth | `10` |",
        "| Yes is predicted from a score of | 0.4 |",
        "| Rows | 7,043 |",
        "| `tenure` | numeric | 2.5% | 0 to 72 |",
        "| `contract` | categorical | 0.0% | 2 levels |",
        "| `ratio` | - | - | - |",
        "| `roc_auc` | 0.8500 | - | - | 0.9100 | 0.8400 | 0.0100 |",
        "| `brier` | 0.1400 | - | - | - | - | - |",
        "| `roc_auc` | passed | roc_auc 0.8500 is at least 0.8000 |",
        "| 1 | `contract` | 0.0500 |",
        "| Parent version | 6 |",
        "| Package numpy | `2.4` |",
        "a gap of 0.0600",
        "1,409 test rows",
    ],
)
def test_the_card_states_what_the_manifest_holds(fact: str) -> None:
    assert fact in card(MANIFEST)


def test_a_model_that_failed_a_gate_says_so_at_the_top_and_among_the_limits() -> None:
    failed = GateReport((GateResult("f1", 0.6, 0.7, False, "f1 0.6000 is below 0.7000"),))
    text = card(replace(MANIFEST, gates=failed))
    assert "**did not pass**" in text.split("##")[0]
    assert "| `f1` | **failed** | f1 0.6000 is below 0.7000 |" in text
    assert "not fit for use" in text


def test_no_gate_at_all_is_not_a_pass() -> None:
    text = card(replace(MANIFEST, gates=GateReport(())))
    assert "**did not pass**" in text
    assert "No gate was judged" in text


def test_a_regression_card_has_no_classes_and_no_threshold() -> None:
    text = card(replace(MANIFEST, task=Task.REGRESSION, classes=()))
    assert "Classes" not in text
    assert "predicted from a score" not in text


def test_names_cannot_break_the_tables() -> None:
    text = card(replace(MANIFEST, features=("a|b\nc",), target="`<x>`"))
    assert lines(text, r"| `a\|b c`") == [r"| `a\|b c` | - | - | - |"]
    assert "| Target | `'<x>'` |" in text


def test_the_report_has_the_figures_of_scikit_learn_for_each_class() -> None:
    random = np.random.default_rng(0)
    y, guess = random.integers(0, 3, 200), random.integers(0, 3, 200)
    expected = precision_recall_fscore_support(y, guess)
    text = classification_report(y, guess, ("low", "middle", "high"))
    for index, name in enumerate(("low", "middle", "high")):
        figures = [float(cell) for cell in lines(text, name)[0].split()[1:]]
        assert figures == pytest.approx([each[index] for each in expected], abs=5e-4)


def test_the_report_shows_a_class_that_does_not_occur_without_counting_it_in_the_mean() -> None:
    text = classification_report(np.array([0, 1]), np.array([0, 1]), ("a", "b", "c"))
    assert lines(text, "c")[0].split() == ["c", "0.000", "0.000", "0.000", "0"]
    assert lines(text, "macro mean")[0].split()[2:] == ["1.000", "1.000", "1.000", "2"]


def test_the_report_of_no_rows_says_so() -> None:
    empty = np.array([], dtype=np.int64)
    assert classification_report(empty, empty, ("a", "b")) == "no rows"


def test_the_page_shows_everything_that_is_in_the_document() -> None:
    made = cards.card(RICH, CANDIDATES)
    document = json.loads(json.dumps(cards.document(made)))
    sections = [*document["sections"].values()]
    pictures = {name: b"png of " + name.encode() for part in sections for name in part.get("pictures", ())}
    html = page(made, pictures)
    for part in sections:
        for name in part.pop("pictures", ()):
            assert b64encode(pictures[name]).decode() in html
    for leaf in leaves(list(document["sections"].values())):
        assert any(form in html for form in shown(leaf)), leaf
    assert document["title"] in html
    assert escape(document["verdict"]) in html


def test_the_document_holds_figures_in_full_by_name() -> None:
    sections = cards.document(cards.card(RICH, CANDIDATES))["sections"]
    auc = next(row for row in sections["metrics"]["values"] if row["Metric"] == "roc_auc")
    assert (auc["Test"], auc["From"], auc["To"]) == (0.85, 0.8213, 0.8746)
    assert [row["Family"] for row in sections["candidates"]["values"]] == ["random_forest", "logistic"]
    assert sections["threshold"]["values"]["Chosen for"] == "greatest f1"
    assert sections["lineage"]["values"]["Seed"] == 42


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<b>basic</b>", '"><img src=x onerror=alert(1)>'])
def test_a_name_from_the_data_stays_text(text: str) -> None:
    attacked = replace(RICH, model=text, target=text, family=text, features=(text,), classes=("No", text))
    candidates = (replace(CANDIDATES[0], family=text), replace(CANDIDATES[1], family=text))
    html = page(cards.card(attacked, candidates), {})
    assert text not in html
    assert escape(text) in html
    assert html.count("<script") == html.count("<img") == 0
    assert "default-src 'none'" in html


def test_the_page_asks_nobody_for_anything() -> None:
    html = page(cards.card(RICH, CANDIDATES), {"roc_curve.png": b"x"})
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_a_bare_manifest_has_a_card_too() -> None:
    html = page(cards.card(MANIFEST), {})
    assert 'id="metrics"' in html
    assert 'id="slices"' not in html
    assert "was not measured here" in html
    assert "was not measured here" not in page(cards.card(RICH), {})


def test_a_refused_model_is_marked_on_the_page() -> None:
    html = page(cards.card(replace(RICH, gates=GateReport(()))), {})
    assert 'class="verdict failed"' in html
    assert "not fit for use" in html


def test_candidates_by_a_loss_are_shown_plain_and_the_chosen_one_first() -> None:
    losses = [replace(each, metric="log_loss", score=-each.score) for each in CANDIDATES]
    lost = replace(losses[0], family="neural", score=-inf)
    rows = cards.document(cards.card(MANIFEST, [lost, *losses]))["sections"]["candidates"]["values"]
    assert [row["log_loss, mean"] for row in rows] == [0.84, 0.83, None]


def test_exported_forms_are_told_and_so_is_why_one_was_refused() -> None:
    forms = (ExportedForm("skops", "model.skops"), ExportedForm("onnx", reason="xyz has no converter"))
    found = cards.document(cards.card(replace(MANIFEST, exports=forms)))["sections"]["model"]["values"]
    told = list(found.items())
    assert ("Exported as skops", "export/model.skops, the bundle's own file") in told
    assert ("Exported as onnx", "refused: xyz has no converter") in told
