"""What may happen to a release next: each command gives the events to append, or says why it is refused.

The events of one command are appended in order, each by compare-and-set on the ledger's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import WHOLE, Action, EventKind, ReleaseState, Strategy, Verdict
from everfit.records.table import Value


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it has its number, time and author."""

    kind: EventKind
    version: int
    reason: str
    evidence: Mapping[str, Value] = field(default_factory=dict)


def resting_on(drafts: tuple[Draft, ...], evidence: Mapping[str, Value]) -> tuple[Draft, ...]:
    """The drafts, the first of them with further evidence."""
    return tuple(replace(one, evidence={**evidence, **one.evidence}) for one in drafts[:1]) + drafts[1:]


def challengers(release: Release) -> int:
    """How many new versions take part in a release by the project's strategy.

    >>> challengers(Release()), challengers(Release(strategy="ab"))
    (1, 1)
    """
    if release.strategy is Strategy.AB:
        return len(release.ab.arms) - 1
    return release.thompson.challengers if release.strategy is Strategy.THOMPSON else 1


def newest_beside(state: ReleaseState, version: int, release: Release) -> tuple[int, ...]:
    """The newest versions that may be released besides one: as many as an A/B test of several challengers lacks, or as
    there are."""
    lacking = challengers(release) - 1 if state.champion is not None else 0
    out = {version, state.champion, state.previous_champion, *state.rejected, *state.archived}
    free = [one for one in reversed(state.registered) if one not in out]
    return tuple(free[:lacking])


def start(
    state: ReleaseState, version: int, release: Release, *, force: bool = False, others: Sequence[int] = ()
) -> tuple[Draft, ...]:
    """Brings a version in front of traffic by the project's strategy; an A/B test of several challengers also `others`.

    The first champion is promoted at once, for there is nothing to compare it with. A step of 100% is the promotion
    itself: it is no step of the canary. `force` releases a version again that was rolled back. Raises ReleaseError
    for a version that is unregistered, champion already or rolled back, and while another canary is under way.

    >>> registered = ReleaseState(number=1, latest=1, registered=(1,))
    >>> [(draft.kind.value, draft.reason) for draft in start(registered, 1, Release())]
    [('promoted', 'first release, no champion to compare with')]
    """
    for one in (version, *others):
        _check_free(state, one, force)
    if state.challenger is not None:
        raise _under_way(state)
    if state.champion is None and others:
        raise _refused(version, "would be the first champion", "release it alone, then test the others against it")
    if state.champion is None:
        return (Draft(EventKind.PROMOTED, version, "first release, no champion to compare with"),)
    steps = plan(release)
    if not steps:
        evidence: dict[str, Value] = {"strategy": "immediate", "forced": force}
        released = Draft(EventKind.RELEASED, version, "released at once", evidence)
        return (released, Draft(EventKind.PROMOTED, version, "strategy immediate"))
    evidence = {"strategy": release.strategy.value, "steps": ",".join(map(repr, steps)), "forced": force}
    if release.strategy in (Strategy.AB, Strategy.THOMPSON):
        evidence |= _arms(release, (version, *others))
    elif others:
        fix = "only the strategies ab and thompson take several versions"
        raise _refused(others[0], f"cannot be released beside {version}", fix)
    begins = _begins(release.strategy, steps[0])
    if others:
        begins += f", beside {' and '.join(f'version {other}' for other in others)}"
    return (Draft(EventKind.RELEASED, version, begins, evidence),)


def _arms(release: Release, versions: tuple[int, ...]) -> dict[str, Value]:
    """The arms of several challengers as the ledger keeps them. Raises ReleaseError unless there is a version for each
    arm but the champion's."""
    wanted, there = challengers(release), sorted(set(versions))
    if len(there) != wanted:
        raise ReleaseError(
            f"a release with {wanted + 1} arms needs {wanted} {'version' if wanted == 1 else 'versions'} beside the "
            f"champion, and there are {len(there)}: {', '.join(map(str, there))}",
            where="release.ab.arms" if release.strategy is Strategy.AB else "release.thompson.challengers",
            fix="name them: `everfit release VERSION VERSION`; or train more, or leave an arm out",
        )
    if release.strategy is Strategy.AB:
        names, shares = tuple(release.ab.arms), tuple(release.ab.arms.values())[1:]
    else:
        names = ("champion", *(f"version {version}" for version in versions))
        shares = (release.thompson.start,) * wanted
    if wanted == 1:
        return {"arms": ",".join(names)} if release.strategy is Strategy.AB else {}
    parts = (",".join(map(repr, shares)), ",".join(map(str, versions)))
    return {"arms": ",".join(names), "shares": parts[0], "versions": parts[1]}


def plan(release: Release) -> tuple[float, ...]:
    """The new version's shares of traffic, one after the other; none where all of it comes at once.

    >>> plan(Release(strategy="rolling")), plan(Release(strategy="shadow", steps=(0.1,)))
    ((0.25, 0.5, 0.75), (0.0, 0.1))
    """
    canary = tuple(share for share in release.steps if share < 1)
    match release.strategy:
        case Strategy.CANARY:
            return canary
        case Strategy.ROLLING:
            return tuple(number / release.rolling.batches for number in range(1, release.rolling.batches))
        case Strategy.BLUE_GREEN:
            return (0.0,)
        case Strategy.SHADOW:
            return (0.0, *canary) if release.shadow.then == "canary" else (0.0,)
        case Strategy.AB:
            return (tuple(release.ab.arms.values())[1],)
        case Strategy.THOMPSON:
            return (release.thompson.start,)
        case _:
            return ()


def _begins(strategy: Strategy, share: float) -> str:
    name = strategy.value.replace("_", "/") if strategy is not Strategy.AB else "A/B test"
    if strategy is Strategy.SHADOW:
        return "shadow begins: copies of requests, no answers"
    return f"{name} begins at {100 * share:.4g}% of traffic"


def apply(state: ReleaseState, verdict: Verdict) -> tuple[Draft, ...]:
    """The event that a verdict on the canary under way asks for; none for INCONCLUSIVE.

    Raises ReleaseError when no canary is under way, or when it cannot advance beyond its last step."""
    if state.challenger is None:
        raise ReleaseError(
            "no canary is under way", where="release", fix="start one with `everfit release`, or see `everfit status`"
        )
    if verdict.action is Action.INCONCLUSIVE:
        return ()
    goes_on = state.step + 1 < len(state.steps) or verdict.evidence.keys() & {"next_share", "next_shares"}
    if verdict.action is Action.ADVANCE and not goes_on:
        raise ReleaseError(
            "the canary is on its last step and cannot advance", where="release", fix="promote it or roll it back"
        )
    evidence = {**verdict.evidence, "error_rate": verdict.error_rate}
    if verdict.picture:
        evidence["picture"] = verdict.picture
    return (Draft(_KINDS[verdict.action], state.challenger, verdict.reason, evidence),)


_KINDS: Mapping[Action, EventKind] = {
    Action.ADVANCE: EventKind.ADVANCED,
    Action.PROMOTE: EventKind.PROMOTED,
    Action.ROLL_BACK: EventKind.ROLLED_BACK,
}


def promote(
    state: ReleaseState, version: int, reason: str = "promoted by hand", *, force: bool = False
) -> tuple[Draft, ...]:
    """Makes a version champion now, whatever its canary has shown so far.

    Raises ReleaseError as `start` does; the version of the canary under way may be promoted, another may not."""
    _check_free(state, version, force)
    if state.challenger not in (None, version) and version not in (one.version for one in state.running):
        raise _under_way(state)
    return (Draft(EventKind.PROMOTED, version, reason, {"forced": force}),)


def archive(state: ReleaseState, version: int, reason: str = "archived by hand") -> tuple[Draft, ...]:
    """Takes a version out of use. Raises ReleaseError for one that is unregistered, archived already, or in use: the
    champion, the one that a rollback would bring back, and a challenger."""
    _check_registered(state, version)
    if version in state.in_use:
        part = {state.champion: "champion", state.challenger: "under way as a canary"}.get(
            version, "what a rollback would go back to"
        )
        raise _refused(version, f"is in use: it is {part}", "release another version first; see `everfit status`")
    if version in state.archived:
        raise _refused(version, "is archived already", "nothing is to be done; see `everfit history`")
    return (Draft(EventKind.ARCHIVED, version, reason),)


def roll_back(state: ReleaseState, reason: str = "rolled back by hand") -> tuple[Draft, ...]:
    """Ends the canary under way, or else gives the traffic back to the champion before this one.

    Champions that were rolled back themselves are passed over. Raises ReleaseError when there is none to go back to.

    >>> second = ReleaseState(number=4, champion=2, previous_champion=1, registered=(1, 2), earlier=(1,))
    >>> draft, = roll_back(second)
    >>> draft.version, draft.evidence
    (2, {'back_to': 1})
    """
    if state.challenger is not None:
        whole: dict[str, Value] = {WHOLE: True} if state.variants else {}
        return (Draft(EventKind.ROLLED_BACK, state.challenger, reason, {"back_to": state.champion, **whole}),)
    if state.champion is None or not state.earlier:
        missing = "no model is released" if state.champion is None else f"no champion came before {state.champion}"
        raise ReleaseError(
            f"nothing to roll back to: {missing}",
            where="release",
            fix="release another version with `everfit release VERSION`",
        )
    return (Draft(EventKind.ROLLED_BACK, state.champion, reason, {"back_to": state.earlier[-1]}),)


def _check_free(state: ReleaseState, version: int, force: bool) -> None:
    """Raises ReleaseError unless the version may take traffic."""
    _check_registered(state, version)
    if version == state.champion:
        raise _refused(version, "is champion already", "nothing is to be done; see `everfit status`")
    if version in state.rejected and not force:
        raise _refused(version, "was rolled back", "train a new version, or release this one again with --force")
    if version in state.archived and not force:
        raise _refused(version, "is archived", "train a new version, or release this one again with --force")


def _check_registered(state: ReleaseState, version: int) -> None:
    if version not in state.registered:
        known = ", ".join(map(str, state.registered[-5:])) or "none"
        raise _refused(version, "is not registered", f"choose a registered version (the last ones: {known})")


def _under_way(state: ReleaseState) -> ReleaseError:
    fix = "wait for its verdict, or end it with `everfit rollback`"
    return _refused(state.challenger, "is under way as a canary", fix)


def _refused(version: int | None, why: str, fix: str) -> ReleaseError:
    return ReleaseError(f"version {version} {why}", where="release", fix=fix)
