"""`everfit explain` shows what a logged prediction is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli_project import call, project, register, start
from tests.unit.serving_models import table

from everfit.project.load import load
from everfit.wiring import Ports
from everfit.workspace import Workspace

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    found = project(tmp_path, monkeypatch)
    register(found, 1)
    start(found)
    return found


def predicted() -> str:
    """The id of a prediction that another process made."""
    return str(Workspace(load("everfit.yaml")).predict(table().head(1))["id"][0])


def test_each_feature_has_a_bar_and_the_sum_is_said(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "explain", predicted())
    assert answer.code == 0
    assert {"tenure", "charges", "charge_per_month", "plan"} <= {
        line.split()[0] for line in answer.out.splitlines() if line
    }
    assert "█" in answer.out
    assert "answered by version 1" in answer.out
    assert "(log-odds)" in answer.out


def test_json_is_what_the_server_says(ports: Ports, capsys: Capture) -> None:
    found = call(capsys, "explain", predicted(), "--json").json
    assert found["base"] + sum(each["contribution"] for each in found["contributions"]) == pytest.approx(
        found["output"]
    )


def test_a_version_that_was_replaced_is_still_explained(ports: Ports, capsys: Capture) -> None:
    one = predicted()
    register(ports, 2, real=True)
    assert call(capsys, "promote", "2", "--reason", "better").code == 0
    assert call(capsys, "explain", one, "--json").json["version"] == 1


def test_an_unknown_id_is_exit_code_10(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "explain", "01a1a0d9-f100-7000-8000-000000000000")
    assert answer.code == 10
    assert "holds no" in answer.err
