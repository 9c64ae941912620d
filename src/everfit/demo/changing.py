"""Chapters 6 and 7: the world changes, the alarms ring, a new model is trained."""

from __future__ import annotations

from typing import Any

from everfit.demo import learning
from everfit.demo.answering import judged, performance, week
from everfit.demo.folder import TABLE
from everfit.demo.service import Client
from everfit.demo.telling import Story
from everfit.demo.world import DRIFT_DAY
from everfit.records.watch import Alarm, AlarmKind, Decision, MonitorReport
from everfit.testing.churn import TIME

_MOVED = ("monthly_charges", "contract_type")


def drift(story: Story, client: Client) -> Decision:
    """Chapter 6: drift, seen at once in the inputs, and a week later in the labels. Returns the last decision."""
    facts = story.chapter("drift", "The world changes")
    story.teller.line(
        f"On day {DRIFT_DAY} charges rise by a quarter, two thirds of the long contracts end, and contract, tenure and "
        "payment begin to count the other way round. Nobody tells the model."
    )
    first = week(story, client)
    facts["drift"] = _inputs(story, first)
    second = week(story, client)
    facts["performance"] = _labels(story, second)
    return second.decision


def retraining(story: Story, decision: Decision) -> bool:
    """Chapter 7: the decision, and what came of it; false when no new version did, so that the story ends there."""
    facts = story.chapter("retraining", "The decision, and a new model")
    facts |= {"retrain": decision.retrain, "trigger": decision.trigger, "reasons": decision.reasons}
    story.teller.line(f"Retrain: {'yes' if decision.retrain else 'no'}, because", "bold")
    for reason in decision.reasons:
        story.teller.line(f"  - {reason}")
    story.expect(decision.retrain, "nothing asked for a retraining")
    facts["table"] = _export(story)
    done = story.workspace.retrain(decision)
    if done.version is None:
        return story.expect(False, f"no new version came of it: {done.error or done.reason}")
    facts |= {"version": done.version, "deployed": done.deployed}
    facts |= _compared(story, decision)
    story.expect(done.deployed, f"version {done.version} was not released: {done.error}")
    return story.expect(done.version == 2, f"the new version has the number {done.version}") and done.deployed


def _inputs(story: Story, look: MonitorReport) -> dict[str, Any]:
    found = _alarm(look, AlarmKind.DRIFT)
    if not story.expect(found is not None, "no drift alarm a week after the change") or found is None:
        return {"alarm": None, "columns": []}
    story.teller.line(f"Day {story.day()}: ALARM, drift", "bold yellow")
    story.teller.line(f"{found.message}.")
    story.teller.line(
        f"Not one label of these days is there yet; for the days before: {performance(look)}. Retrain now? "
        f"{'Yes' if look.decision.retrain else 'No'}: {look.decision.reasons[0]}."
    )
    columns = list(found.evidence)
    missed = [name for name in _MOVED if name not in columns]
    story.expect(not missed, f"the drift alarm does not name {', '.join(missed)}")
    return {
        "alarm": found.message,
        "columns": columns,
        "effects": dict(found.evidence),
        "kinds": [alarm.kind for alarm in look.alarms],
        "day": story.day(),
        "retrain": look.decision.retrain,
    }


def _labels(story: Story, look: MonitorReport) -> dict[str, Any]:
    found = _alarm(look, AlarmKind.PERFORMANCE)
    if not story.expect(found is not None, "no performance alarm when the labels came") or found is None:
        return {"alarm": None, **judged(look)}
    story.teller.line(f"Day {story.day()}: ALARM, performance: the labels have come", "bold red")
    story.teller.line(f"{found.message}.")
    return {"alarm": found.message, "day": story.day(), **judged(look)}


def _export(story: Story) -> dict[str, Any]:
    table = story.world.export(story.folder / TABLE, story.clock.now)
    new = table.filter(table[TIME] >= story.world.drift_at).height
    story.teller.line(
        f"The warehouse's table goes on: the labelled rows of the last days, {table.height:,}, of which {new:,} are of "
        "after the change. The same pipeline runs on it."
    )
    return {"rows": table.height, "after_drift": new}


def _compared(story: Story, decision: Decision) -> dict[str, Any]:
    """The new model's candidates and gates, as the run stored them; the champion on the same rows beside it."""
    trained = story.workspace.run(since=decision.since)
    facts = learning.compete(story, trained, "Candidates")
    facts |= learning.passed(story, trained.gates, "Gates")
    metric = facts["metric"]
    old, new = trained.run["champion_metrics"][metric], trained.evaluation.test[metric]
    facts |= {"old_on_new_rows": old, "new_on_new_rows": new}
    story.teller.line(
        f"On the same newest rows version 1 has {metric} {old:.4f} and version {trained.version} {new:.4f}.",
        "bold green",
    )
    story.expect(new > old, "the new model is no better than the old one")
    return facts


def _alarm(look: MonitorReport, kind: AlarmKind) -> Alarm | None:
    return next((alarm for alarm in look.alarms if alarm.kind is kind), None)
