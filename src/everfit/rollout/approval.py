"""Who must allow a version before it comes in front of traffic: n of the people named, and never its author.

Approvals are counted when they are needed, by the rule of that moment: taking a person off the list takes their
approvals away. A rollback ends the approvals of the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from everfit.errors import ReleaseError
from everfit.records.release import PROVEN, EventKind, ReleaseState
from everfit.records.table import Value
from everfit.rollout.strategy import Draft


@dataclass(frozen=True, slots=True)
class Rule:
    """How many of `approvers` must allow a version, none by default; and whether only those count who have `proven`
    who they are."""

    needed: int = 0
    approvers: tuple[str, ...] = ()
    proven: bool = False


def given(state: ReleaseState, version: int, rule: Rule) -> tuple[str, ...]:
    """Whose approvals of the version count, in the order given."""
    able = (one for one in state.approvals if one.version == version and (one.proven or not rule.proven))
    names = dict.fromkeys(one.by for one in able)
    return tuple(name for name in names if name in rule.approvers and name != state.authors.get(version))


def missing(state: ReleaseState, version: int, rule: Rule) -> int:
    """How many approvals the version still lacks.

    >>> missing(ReleaseState(registered=(1,), authors={1: "ann"}), 1, Rule(1, ("ann", "bob")))
    1
    """
    return max(0, rule.needed - len(given(state, version, rule)))


def waiting(state: ReleaseState, version: int, rule: Rule) -> str:
    """What the version waits for, in words.

    >>> waiting(ReleaseState(registered=(1,), authors={1: "ann"}), 1, Rule(1, ("ann", "bob", "carl")))
    '1 approval, by bob or carl'
    """
    left, done = missing(state, version, rule), given(state, version, rule)
    able = [name for name in rule.approvers if name not in done and name != state.authors.get(version)]
    who = " or ".join([*filter(None, [", ".join(able[:-1])]), *able[-1:]]) or "nobody who is left on the list"
    return f"{left} {'approval' if left == 1 else 'approvals'}, by {who}"


def hold(state: ReleaseState, version: int, rule: Rule, *, force: bool = False) -> tuple[Draft, ...]:
    """Writes down that the version's release waits; nothing when that is written already."""
    if state.staged == version:
        return ()
    evidence: dict[str, Value] = {"needed": rule.needed, "approvers": ", ".join(rule.approvers), "forced": force}
    return (Draft(EventKind.STAGED, version, f"waits for {waiting(state, version, rule)}", evidence),)


def check(state: ReleaseState, version: int, rule: Rule) -> None:
    """Raises ReleaseError unless the version has the approvals that it needs."""
    if missing(state, version, rule):
        raise ReleaseError(
            f"version {version} waits for {waiting(state, version, rule)}",
            where="release.approve",
            fix=f"`everfit approve {version}`, by one of them",
        )


def approve(
    state: ReleaseState, version: int, by: str, rule: Rule, reason: str, evidence: Mapping[str, Value]
) -> tuple[Draft, ...]:
    """One person's approval; the evidence has `PROVEN` where it was shown who that is. Raises ReleaseError where none
    is needed, and for a person who is not on the list, who has not proven it where that is asked for, who is the
    version's author, or who has approved it already."""
    if rule.needed == 0:
        raise _refused("no approval is needed in this environment", "release it: `everfit release`")
    if version not in state.registered or version in state.archived:
        known = "is archived" if version in state.archived else "is not registered"
        raise _refused(f"version {version} {known}", "see `everfit status` for the one that waits")
    if by not in rule.approvers:
        who = ", ".join(rule.approvers)
        raise _refused(f"{by} is not among those who may approve ({who})", "ask one of them, or say who you are: --by")
    if rule.proven and not evidence.get(PROVEN):
        fix = (
            "set EVERFIT_KEY to the key of that name (`everfit keys add NAME --role operate`), or say so in the "
            "project: release.identity: local"
        )
        raise _refused(f"{by} has shown no key, and an approval needs one here", fix)
    if by == state.authors.get(version):
        raise _refused(f"{by} made version {version}, and nobody approves their own", "ask another approver")
    if by in given(state, version, rule):
        raise _refused(f"{by} has approved version {version} already", "ask another approver")
    return (Draft(EventKind.APPROVED, version, reason, evidence),)


def _refused(what: str, fix: str) -> ReleaseError:
    return ReleaseError(what, where="approve", fix=fix)
