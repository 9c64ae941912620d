"""Chapters 1 to 3, and the retraining: what was learned from, who competed, who was let through."""

from __future__ import annotations

from typing import Any

from everfit.demo.telling import Story
from everfit.records.model import GateReport
from everfit.trained import Trained


def data(story: Story, trained: Trained) -> None:
    """Chapter 1: the table, its checks, its identity."""
    facts = story.chapter("data", "The data")
    quality, dataset = trained.quality, trained.run["dataset"]
    passed = len(quality.results) - len(quality.issues)
    facts |= {
        "rows": dataset.rows,
        "columns": dataset.columns,
        "checks": len(quality.results),
        "passed": passed,
        "quality": quality.score,
        "fingerprint": dataset.fingerprint,
    }
    story.teller.line(
        f"{dataset.rows:,} customers with {dataset.columns} columns; who left is known of all of them. "
        f"{passed} of {len(quality.results)} checks passed, quality {quality.score:.2f}."
    )
    story.teller.line(f"This table is {dataset.fingerprint[:16]} from now on: every model made of it says so.", "dim")
    story.expect(not quality.issues, "some checks on generated data failed")


def candidates(story: Story, trained: Trained) -> None:
    """Chapter 2: the families that competed."""
    facts = story.chapter("candidates", "The candidates")
    facts |= compete(story, trained)
    best = trained.candidates[0]
    test = trained.evaluation.test[best.metric]
    facts["test"] = test
    story.teller.line(f"{best.family} wins. On the newest fifth of the rows, held out: {best.metric} {test:.4f}.")


def gates(story: Story, trained: Trained) -> None:
    """Chapter 3: the gates, and the version that passed them."""
    facts = story.chapter("gates", "The gates")
    facts |= passed(story, trained.gates)
    facts["version"] = trained.version
    story.teller.line(f"Registered in MLflow as version {trained.version}.", "bold green")
    story.expect(trained.version == 1, f"the first version has the number {trained.version}")


def compete(story: Story, trained: Trained, title: str = "") -> dict[str, Any]:
    """Shows the candidates, best first; returns the facts about them."""
    found = trained.candidates
    metric = found[0].metric
    took = {c.family: trained.took(c.family) for c in found}
    story.teller.table(
        title,
        ("family", f"{metric}, cross-validated", "+/-", "settings tried", "took"),
        [(c.family, c.score, c.spread, c.trials, f"{took[c.family]:.1f} s") for c in found],
    )
    return {
        "metric": metric,
        "chosen": found[0].family,
        "scores": {c.family: c.score for c in found},
    }


def passed(story: Story, report: GateReport, title: str = "") -> dict[str, Any]:
    """Shows every gate with its figures; returns the facts about them."""
    story.teller.table(title, ("gate", "", "because"), [(g.gate, g.passed, g.reason) for g in report.results])
    return {"gates": {g.gate: {"passed": g.passed, "observed": g.observed, "required": g.required}
                      for g in report.results}}  # fmt: skip
