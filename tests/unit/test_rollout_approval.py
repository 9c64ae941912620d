"""Approvals: n of the people named, never the author, and none that outlives a rollback."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from everfit.errors import ReleaseError
from everfit.records.release import EventKind, LedgerEvent, ReleaseState
from everfit.rollout import approval, strategy
from everfit.rollout.approval import Rule
from everfit.rollout.ledger import fold, follow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = Rule(2, ("ann", "bob", "carl"))


def history(*events: tuple[EventKind, int, str]) -> ReleaseState:
    """The state after these events."""
    made: list[LedgerEvent] = []
    for kind, version, by in events:
        made.append(follow(made, kind, version, NOW, by, ""))
    return fold(made)


REGISTERED = (EventKind.REGISTERED, 1, "ann")


def approved(by: str) -> tuple[EventKind, int, str]:
    return (EventKind.APPROVED, 1, by)


@pytest.mark.parametrize(
    ("persons", "left"),
    [([], 2), (["bob"], 1), (["bob", "bob"], 1), (["bob", "carl"], 0), (["ann", "bob"], 1), (["eve", "bob"], 1)],
    ids=["nobody", "one", "the same twice", "two", "the author", "a stranger"],
)
def test_only_different_people_on_the_list_count_and_not_the_author(persons: list[str], left: int) -> None:
    assert approval.missing(history(REGISTERED, *map(approved, persons)), 1, RULE) == left


def test_somebody_taken_off_the_list_takes_the_approval_away() -> None:
    state = history(REGISTERED, approved("bob"), approved("carl"))
    assert approval.missing(state, 1, Rule(2, ("ann", "bob", "dora"))) == 1


def test_a_rollback_ends_the_approvals_of_the_version() -> None:
    state = history(
        (EventKind.REGISTERED, 2, "ann"), (EventKind.PROMOTED, 2, "ann"),
        REGISTERED, approved("bob"), (EventKind.PROMOTED, 1, "bob"), (EventKind.ROLLED_BACK, 1, "bob"),
    )  # fmt: skip
    assert approval.missing(state, 1, RULE) == 2


@pytest.mark.parametrize(
    ("by", "rule", "why"),
    [
        ("ann", RULE, "nobody approves their own"),
        ("eve", RULE, "eve is not among those who may approve"),
        ("bob", RULE, "bob has approved version 1 already"),
        ("bob", Rule(), "no approval is needed"),
    ],
)
def test_an_approval_that_would_not_count_is_refused(by: str, rule: Rule, why: str) -> None:
    with pytest.raises(ReleaseError, match=why):
        approval.approve(history(REGISTERED, approved("bob")), 1, by, rule, "", {})


@pytest.mark.parametrize("events", [[], [REGISTERED, (EventKind.ARCHIVED, 1, "ann")]])
def test_a_version_that_is_not_there_or_archived_is_not_approved(events: list[tuple[EventKind, int, str]]) -> None:
    with pytest.raises(ReleaseError, match=r"is not registered|is archived"):
        approval.approve(history(*events), 1, "bob", RULE, "", {})


def test_what_it_waits_for_is_said_with_those_who_can_still_give_it() -> None:
    assert approval.waiting(history(REGISTERED), 1, RULE) == "2 approvals, by bob or carl"
    assert approval.waiting(history(REGISTERED, approved("bob")), 1, RULE) == "1 approval, by carl"


def test_waiting_is_written_down_once() -> None:
    (staged,) = approval.hold(history(REGISTERED), 1, RULE)
    assert (staged.kind, staged.reason) == (EventKind.STAGED, "waits for 2 approvals, by bob or carl")
    assert approval.hold(history(REGISTERED, (EventKind.STAGED, 1, "ann")), 1, RULE) == ()


def test_a_release_ends_the_waiting() -> None:
    staged = history(REGISTERED, (EventKind.STAGED, 1, "ann"))
    assert (staged.staged, staged.champion) == (1, None)
    assert history(REGISTERED, (EventKind.STAGED, 1, "ann"), (EventKind.PROMOTED, 1, "bob")).staged is None


@pytest.mark.parametrize(("version", "part"), [(3, "champion"), (2, "rollback"), (4, "canary")])
def test_a_version_in_use_is_not_archived(version: int, part: str) -> None:
    state = ReleaseState(
        number=9, champion=3, previous_champion=2, earlier=(1, 2), challenger=4, registered=(1, 2, 3, 4)
    )
    with pytest.raises(ReleaseError, match=f"version {version} is in use.*{part}"):
        strategy.archive(state, version)
    assert strategy.archive(state, 1)[0].kind is EventKind.ARCHIVED


def test_an_archived_version_is_no_target_of_a_rollback_and_comes_back_only_by_force() -> None:
    promoted = [(kind, v, "ann") for v in (1, 2, 3) for kind in (EventKind.REGISTERED, EventKind.PROMOTED)]
    state = history(*promoted, (EventKind.ARCHIVED, 1, "ann"))
    assert (state.earlier, state.archived) == ((2,), (1,))
    with pytest.raises(ReleaseError, match="is archived"):
        strategy.promote(state, 1)
    assert strategy.promote(state, 1, force=True)
    assert history(*promoted, (EventKind.ARCHIVED, 1, "ann"), (EventKind.PROMOTED, 1, "ann")).archived == ()
