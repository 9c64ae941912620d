"""POST /approve: who asks is whose key it is, and nothing but the approval of a version passes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.serving_models import MemoryLog
from tests.unit.test_serving_app import Http

from everfit.errors import ReleaseError
from everfit.serving.app import create_app
from everfit.serving.predictor import Predictor

KEY = {"authorization": "Bearer everfit_secret"}
Given = tuple[int, str, str]


def asked(body: Any, headers: dict[str, str] = KEY, refused: str = "") -> tuple[int, Any, list[Given]]:
    """The status and the body of the answer, and what reached the one who approves."""
    given = list[Given]()

    def approve(version: int, reason: str, key: str) -> dict[str, object]:
        given.append((version, reason, key))
        if refused:
            raise ReleaseError(refused, where="approve")
        return {"version": version, "by": "bob", "missing": 0, "waits_for": ""}

    http = Http(create_app(Predictor(MemoryLog()), approve=approve))
    answer = http.send("POST", "/approve", json=body, headers=headers)
    return answer.status_code, answer.json(), given


def test_the_version_the_reason_and_the_key_reach_who_approves() -> None:
    status, answer, given = asked({"version": 4, "reason": "figures checked"})
    assert (status, answer["by"]) == (200, "bob")
    assert given == [(4, "figures checked", "everfit_secret")]
    assert asked({"version": 4}, {"x-api-key": "everfit_secret"})[2] == [(4, "approved", "everfit_secret")]


def test_without_a_key_nobody_approves_not_even_where_the_server_is_open() -> None:
    status, answer, given = asked({"version": 4}, {})
    assert (status, given) == (401, [])
    assert "needs a key" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [{}, [], "4", {"version": "4"}, {"version": True}, {"version": 0}, {"version": 4, "by": "ann"},
     {"version": 4, "reason": ""}, {"version": 4, "reason": 5}, {"version": 4, "reason": "x" * 1001}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_approval_is_refused(body: Any) -> None:
    status, answer, given = asked(body)
    assert (status, given) == (422, [])
    assert '"version": 4' in answer["fix"]


def test_what_the_rules_refuse_is_said() -> None:
    status, answer, _ = asked({"version": 4}, refused="bob made version 4, and nobody approves their own")
    assert status == 409
    assert "nobody approves their own" in answer["error"]
