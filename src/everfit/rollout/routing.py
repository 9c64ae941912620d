"""Which arm answers whom: the route table of a release state, and sticky routing by key."""

from __future__ import annotations

import hashlib

from everfit.errors import NotReady
from everfit.records.release import Arm, ReleaseState, RouteTable, Strategy

# The integers that a float holds exactly: no position rounds up to 1.
_POSITIONS = 1 << 53


def table(state: ReleaseState) -> RouteTable:
    """The champion with all traffic, or with what the challenger's step leaves; no arm while nothing is released. A
    challenger whose step is 0 is loaded and answers nobody; in a shadow release it is mirrored.

    >>> arms = table(ReleaseState(number=7, champion=1, challenger=2, steps=(0.1, 0.5), step=1)).arms
    >>> [(arm.name, arm.version, arm.weight) for arm in arms]
    [('champion', 1, 0.5), ('challenger', 2, 0.5)]
    """
    if state.champion is None:
        return RouteTable(state.number, ())
    if state.challenger is None:
        return RouteTable(state.number, (Arm("champion", state.champion, 1.0),))
    if state.variants:
        return RouteTable(state.number, _several(state, state.champion))
    weight = state.steps[state.step]
    first, second = state.names
    mirrored = state.strategy is Strategy.SHADOW and not weight
    champion = Arm(first, state.champion, 1.0 - weight)
    challenger = Arm("shadow" if mirrored else second, state.challenger, weight, mirrored)
    return RouteTable(state.number, (champion, challenger))


def _several(state: ReleaseState, champion: int) -> tuple[Arm, ...]:
    """The arms of several challengers. One that was stopped keeps its entities, answered by the champion."""
    control = Arm(state.names[0], champion, state.control)
    others = (
        Arm(one.name, champion if one.stopped else one.version, one.share, salt=one.version) for one in state.variants
    )
    return (control, *others)


def route(table: RouteTable, key: str) -> Arm:
    """The arm that answers this key: always the same one while the table's weights stay.

    The key's hash is a position in [0, 1); the challenger has the positions below its weight. A rising weight
    therefore only moves keys from the champion to the challenger, and an arm of weight 0 gets none. The challenger's
    version goes into the hash, so that each canary meets other entities first. Of several challengers, each takes its
    part of what those before it left. Raises NotReady for an empty table.

    >>> canary = RouteTable(3, (Arm("champion", 1, 0.9), Arm("challenger", 2, 0.1)))
    >>> route(canary, "customer-17") == route(canary, "customer-17")
    True
    """
    if not table.arms:
        raise NotReady("no model is released yet", fix="run `everfit release`")
    champion, *challengers = table.arms
    left = 1.0
    for challenger in challengers:
        if _position(challenger.salt or challenger.version, key) < challenger.weight / left:
            return challenger
        left -= challenger.weight
    return champion


def _position(version: int, key: str) -> float:
    text = f"{version}:{key}".encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 11) / _POSITIONS
