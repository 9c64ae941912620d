"""Chapters 4 and 5: the first release answers requests, and two quiet weeks pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from everfit.demo.service import Client
from everfit.demo.telling import Story
from everfit.demo.world import WEEK, requests
from everfit.flow import ledger
from everfit.monitoring.budget import alpha_per_look
from everfit.records.watch import MonitorReport
from everfit.testing.churn import ENTITY

_SHOWN = 3
QUIET_WEEKS = 2


def release(story: Story) -> None:
    """Chapter 4, first half: the first version becomes champion."""
    facts = story.chapter("answers", "The first release, and answers")
    state = story.workspace.release()
    story.workspace.refresh()
    facts["champion"] = state.champion
    story.teller.line("There is no champion to compare with, so version 1 takes all traffic at once.")
    story.expect(state.champion == 1, f"the champion is {state.champion}")


def answers(story: Story, client: Client, history: pl.DataFrame) -> None:
    """Chapter 4, second half: two requests over HTTP, by columns and by the customer's identifier."""
    facts = story.facts["answers"]
    story.teller.line(f"The server answers on http://127.0.0.1:{client.port}:")
    row = requests(history[:1]).to_dicts()[0]
    facts["by_columns"] = _ask(story, client, row, f"{len(row) - 1} columns")
    facts["by_entity"] = _ask(story, client, {ENTITY: row[ENTITY]}, "no column: its row is looked up")
    same = facts["by_columns"]["churn_probability"] == facts["by_entity"]["churn_probability"]
    story.expect(same, "the same customer got two answers")


def quiet(story: Story, client: Client) -> None:
    """Chapter 5: traffic without a change; no alarm should ring."""
    facts = story.chapter("quiet", "Two quiet weeks")
    looks = [week(story, client) for _ in range(QUIET_WEEKS)]
    last, alarms = looks[-1], sum(len(look.alarms) for look in looks)
    facts |= {"predictions": len(looks) * story.world.rows, "looks": len(looks), "alarms": alarms, **judged(last)}
    facts["false_alarms"] = alpha_per_look(story.workspace.project.monitoring)
    tests = sum(len(look.drift.columns) for look in looks if look.drift)
    story.teller.line(
        f"{facts['predictions']:,} simulated customers asked. Two weekly looks made {tests} tests of columns and held "
        f"{facts['labels']:,} labels, six days late, against the answers: {performance(last)}."
    )
    story.teller.line(
        f"{alarms or 'No'} alarm{'s' if alarms > 1 else ''}. This project accepts one false alarm a year: a look "
        f"may raise one with a chance of {100 * facts['false_alarms']:.2g}% for each kind of test.",
        "" if alarms else "green",
    )
    story.expect(alarms == 0, "an alarm before anything changed: " + _messages(looks))
    story.expect(last.performance is not None, "too few labels came to judge the model")


def week(story: Story, client: Client) -> MonitorReport:
    """A week of traffic, the labels that came in it, and the look at its end."""
    since = story.clock.now
    client.predict(story.world.traffic(story.world.rows, since, WEEK.days), story.clock)
    story.clock.until(since + WEEK)
    story.workspace.label(story.world.labels(story.clock.now))
    return story.workspace.monitor()


def judged(look: MonitorReport) -> dict[str, Any]:
    """The facts about performance in a look."""
    found = look.performance
    if found is None:
        return {"metric": None, "value": None, "expected": None, "labels": 0}
    return {"metric": found.metric, "value": found.value, "expected": found.expected, "labels": found.labels}


def performance(look: MonitorReport) -> str:
    """Performance in words."""
    found = look.performance
    if found is None or found.value is None or found.low is None or found.high is None:
        return "performance is not known yet"
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.metric} {found.value:.3f} ({interval}), {found.expected:.3f} in the test"


def champion(story: Story) -> int | None:
    """Who answers by the ledger."""
    return ledger.current(story.workspace.ports.state).champion


def _ask(story: Story, client: Client, row: Mapping[str, Any], what: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/predict", row)
    first = dict(list(row.items())[:_SHOWN])
    more = " ..." if len(row) > _SHOWN else ""
    story.teller.line(f"  POST /predict {json.dumps(first, default=str)[:-1]}{more}}}  ({what})")
    hidden = ("id", "probabilities", ENTITY)
    shown = {key: round(v, 4) if isinstance(v, float) else v for key, v in answer.items() if key not in hidden}
    story.teller.line(f"  {json.dumps(shown)}", "cyan")
    return {key: value for key, value in answer.items() if key != "id"}


def _messages(looks: list[MonitorReport]) -> str:
    return "; ".join(alarm.message for look in looks for alarm in look.alarms)
