"""The page that shows the API: allowed to do what it does and nothing else, with examples of the model that answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape

import pytest
from tests.unit.serving_models import GOOD, model, one

from everfit.project.sections.serving import Response
from everfit.records.release import Arm, RouteTable
from everfit.serving import page
from everfit.serving.arms import Snapshot

EMPTY = Snapshot(RouteTable(0, ()), {})


def released(target: str = "Churn") -> Snapshot:
    return Snapshot(one(3), {3: model(target)})


def shown(snapshot: Snapshot, response: Response | None = None, behind: str = "") -> str:
    return page.docs("churn", snapshot, response or Response(), behind)[0]


@pytest.mark.parametrize("part", ["script", "style"])
def test_the_policy_allows_this_script_and_style_alone(part: str) -> None:
    text, policy = page.docs("churn", released(), Response())
    (found,) = re.findall(rf"<{part}>(.*?)</{part}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
    assert f"{part}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\s(on\w+|style)=", text.replace(found, ""))


def test_every_example_is_one_that_the_model_answers() -> None:
    examples = [
        json.loads(unescape(found)) for found in re.findall(r'data-example="(.*?)"', shown(released()), re.DOTALL)
    ]
    row, entity, rows = examples
    assert entity == {"customerID": GOOD["customerID"]}
    assert rows == {"rows": [row, row]}
    assert len(released().champion.answer([row])) == 1


def test_truths_are_offered_as_answers_call_them() -> None:
    text = shown(released(), Response(labels={"Yes": 'High "Risk"'}))
    (found,) = re.findall(r'data-truths="(.*?)"', text)
    assert sorted(json.loads(unescape(found))) == ['High "Risk"', "No"]
    assert 'data-truths="[]"' in shown(released("risk"))


def test_who_answers_is_said() -> None:
    both = RouteTable(9, (Arm("champion", 1, 0.9), Arm("challenger", 2, 0.1)))
    text = shown(Snapshot(both, {1: model(), 2: model()}))
    assert "<b>version 1</b> (logistic), champion, answers 90%" in text
    assert "<b>version 2</b> (logistic), challenger, answers 10%" in text


def test_a_release_that_is_not_served_is_said() -> None:
    assert "A newer release is not served: a &lt;b&gt; is missing" in shown(released(), behind="a <b> is missing")
    assert "A newer release" not in shown(released())


def test_without_a_release_the_page_says_what_to_do() -> None:
    text = shown(EMPTY)
    assert "everfit release" in text
    assert "no model is released yet" in text
