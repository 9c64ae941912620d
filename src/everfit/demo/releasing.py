"""Chapters 8 and 9: the canary of the new version, the way back, and the ledger of it all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from everfit.demo.answering import champion
from everfit.demo.service import Client, asking
from everfit.demo.telling import Story, sentence
from everfit.flow import ledger
from everfit.records.release import Verdict

_REQUESTS = 2_000
_PAUSE = timedelta(hours=6)
_MOST_LOOKS = 8


def canary(story: Story, client: Client) -> None:
    """Chapter 8: traffic to both versions until the verdict is final."""
    facts = story.chapter("canary", "The canary")
    story.workspace.refresh()  # the server's own follower may have been first
    facts["arms"] = {arm["arm"]: arm["version"] for arm in client.get("/version")["arms"]}
    customers = story.world.traffic(_REQUESTS * _MOST_LOOKS, story.clock.now, 1)
    verdicts: list[Verdict] = []
    for number in range(_MOST_LOOKS):
        client.predict(customers[number * _REQUESTS : (number + 1) * _REQUESTS], story.clock)
        verdict, state = story.workspace.look()
        story.workspace.refresh()
        verdicts += [verdict] if verdict else []
        if state.challenger is None:
            break
    facts |= _shown(story, verdicts)
    facts["champion"] = champion(story)
    story.expect(facts["champion"] == 2, f"the champion after the canary is {facts['champion']}")


def rollback(story: Story, client: Client, row: Mapping[str, Any]) -> None:
    """Chapter 9, first half: a person takes the release back."""
    facts = story.chapter("rollback", "A way back")
    story.clock.until(story.clock.now + _PAUSE)
    with asking(client, row) as versions:
        began = time.perf_counter()
        story.workspace.rollback("the demo shows the way back")
        story.workspace.refresh()
        took = time.perf_counter() - began
    before, after = versions[0], versions[-1]
    facts |= {"before": before, "after": after, "champion": champion(story)}
    story.seconds["rollback"] = took
    story.teller.line(
        f"While a caller keeps asking, the release is rolled back by hand; {1000 * took:.0f} ms later version {after} "
        f"answers instead of version {before}. All {len(versions)} requests around it were answered: "
        f"{versions.count(before)} by version {before}, then {versions.count(after)} by version {after}."
    )
    story.expect(versions == sorted(versions, reverse=before > after), "the versions answered in turns")
    story.expect((before, after) == (2, 1), f"version {before} answered before and {after} after")


def history(story: Story) -> None:
    """Chapter 9, second half: the ledger, its chain of hashes verified."""
    events = ledger.events(story.workspace.ports.state)  # raises when the chain is broken
    story.teller.table(
        "The ledger",
        ("#", "day", "what", "version", "because"),
        [(e.number, story.day(e.at), e.kind.value.replace("_", " "), e.version, e.reason) for e in events],
    )
    story.teller.line("Each event holds the hash of the one before; the chain is whole.", "dim")
    story.facts["rollback"]["ledger"] = [f"{e.kind.value} {e.version}" for e in events]
    story.facts["rollback"]["verified"] = True


def _shown(story: Story, verdicts: list[Verdict]) -> dict[str, Any]:
    rows = [
        (
            f"{100 * float(v.evidence['share'] or 0):.0f} %",
            *(
                f"{v.evidence[f'{arm}_errors']} of {v.evidence[f'{arm}_requests']}"
                for arm in ("champion", "challenger")
            ),
            f"{1000 * float(v.evidence['challenger_latency_p99'] or 0):.0f} ms",
            v.action.value.replace("_", " "),
        )
        for v in verdicts
    ]
    story.teller.table("", ("share", "errors, version 1", "errors, version 2", "p99, version 2", "verdict"), rows)
    if not verdicts:
        return {"verdicts": []}
    rate = verdicts[-1].error_rate
    story.teller.line(f"{sentence(verdicts[-1].reason)}.")
    story.teller.line(
        f"A version that is no worse is aborted with a chance of at most {100 * rate:.2g}% over the whole canary, "
        "however often one looks.",
        "dim",
    )
    return {"verdicts": [v.action.value for v in verdicts], "error_rate": rate}
