from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from everfit.evaluation.card import card, classification_report
from everfit.records.features import Encoder
from everfit.records.model import Evaluation, GateReport, GateResult, Importance, Lineage, Manifest
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Column, DatasetVersion, Kind, Schema, Task

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
        cv={"roc_auc": 0.84},
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


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


@pytest.mark.parametrize(
    "fact",
    [
        "| Family | random_forest |",
        "| Setting `max_depth` | `10` |",
        "| `Yes` is predicted from a score of | 0.4 |",
        "| Rows | 7,043 |",
        "| `tenure` | numeric | 2.5% | 0 to 72 |",
        "| `contract` | categorical | 0.0% | 2 levels |",
        "| `ratio` | - | - | - |",
        "| `roc_auc` | 0.8500 | 0.9100 | 0.8400 |",
        "| `brier` | 0.1400 | - | - |",
        "| `roc_auc` | passed | roc_auc 0.8500 is at least 0.8000 |",
        "| 1 | `contract` | 0.0500 |",
        "| Parent version | 6 |",
        "| Package `numpy` | 2.4 |",
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
