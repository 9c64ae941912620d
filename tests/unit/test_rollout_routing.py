from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.errors import NotReady
from everfit.records.release import Arm, ReleaseState, RouteTable
from everfit.rollout.routing import route, table

KEYS = [f"customer-{i}" for i in range(10_000)]


def canary(weight: float, version: int = 2) -> RouteTable:
    return RouteTable(1, (Arm("champion", 1, 1 - weight), Arm("challenger", version, weight)))


def challenged(weight: float, version: int = 2) -> set[str]:
    return {key for key in KEYS if route(canary(weight, version), key).name == "challenger"}


def test_nothing_released_answers_nobody() -> None:
    assert table(ReleaseState()) == RouteTable(0, ())
    with pytest.raises(NotReady, match="no model"):
        route(table(ReleaseState()), "a")


def test_champion_alone_answers_everybody() -> None:
    alone = table(ReleaseState(number=5, champion=3))
    assert alone == RouteTable(5, (Arm("champion", 3, 1.0),))
    assert {route(alone, key).version for key in KEYS[:100]} == {3}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_each_arm_gets_its_share(share: float) -> None:
    deviation = math.sqrt(share * (1 - share) / len(KEYS))
    assert len(challenged(share)) / len(KEYS) == pytest.approx(share, abs=4 * deviation)


def test_arm_without_weight_gets_nobody() -> None:
    assert len(challenged(0.0)) == 0
    assert len(challenged(1.0)) == len(KEYS)


def test_rising_weight_only_moves_keys_to_the_challenger() -> None:
    sets = [challenged(share) for share in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert all(few < more for few, more in pairwise(sets))


def test_another_canary_meets_other_entities_first() -> None:
    both = challenged(0.1, version=2) & challenged(0.1, version=3)
    assert len(both) < 0.02 * len(KEYS)


@given(st.text(), st.floats(0, 1))
def test_a_key_always_meets_the_same_arm(key: str, share: float) -> None:
    assert route(canary(share), key) == route(canary(share), key)
