"""`everfit rollback` and `everfit retrain`: what a person does by hand, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli_project import NOW, SETTINGS, call, project, register, start

from everfit.cli import retrain
from everfit.cli.output import Output
from everfit.flow import alerting, ledger, retraining
from everfit.project.load import load
from everfit.records.watch import Retraining
from everfit.wiring import Ports

Capture = pytest.CaptureFixture[str]


class Told:
    """A Registry that shows what it was told."""

    def __init__(self) -> None:
        self.told: Any = None

    def aliases(self) -> Any:
        return self.told

    def mirror(self, aliases: Any, stages: Any) -> None:
        self.told = dict(aliases)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    registry = Told()
    monkeypatch.setattr(Ports, "registry", registry)
    return registry


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> Ports:
    return project(tmp_path, monkeypatch)


def test_a_canary_is_ended_with_the_reason_in_the_ledger(ports: Ports, told: Told, capsys: Capture) -> None:
    for version in (1, 2):
        register(ports, version)
        start(ports)
    answer = call(capsys, "rollback", "--reason", "complaints from support")
    assert answer.code == 0
    assert "Version 2 was rolled back" in answer.out
    assert ledger.events(ports.state)[-1].reason == "complaints from support"
    assert told.told == {"production": 1}


def test_without_a_canary_the_champion_before_answers_again(ports: Ports, capsys: Capture) -> None:
    settings = load("everfit.yaml", overrides=["release=immediate"])
    for version in (1, 2):
        register(ports, version)
        start(Ports(settings))
    assert ledger.current(ports.state).champion == 2
    state = call(capsys, "rollback", "--json").json
    assert (state["champion"], state["rejected"]) == (1, [2])
    assert ledger.events(ports.state)[-1].reason == "rolled back by hand"


def test_an_ab_test_of_several_versions_is_released_shown_and_ended_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, capsys: Capture
) -> None:
    arms = "release: {strategy: ab, ab: {arms: {old: 50%, small: 30%, large: 20%}}}\n"
    made = project(tmp_path, monkeypatch, SETTINGS.replace("release: canary\n", arms))
    for version in (1, 2, 3):
        register(made, version, real=True)
        if version == 1:
            start(made)
    lacking = call(capsys, "release", "2", "2")
    assert lacking.code == 9
    assert "needs 2 versions beside the champion" in lacking.err
    shown = call(capsys, "release", "3", "2")
    assert shown.code == 0, shown.err
    assert "Version 3, arm small, is on trial with 30% of entities." in shown.out
    assert "Version 2, arm large, is on trial with 20% of entities." in shown.out
    assert call(capsys, "archive", "2").code == 9
    ended = call(capsys, "rollback")
    assert "Version 3 was rolled back.\nVersion 2 was rolled back." in ended.out
    assert ledger.current(made.state).rejected == (3, 2)


def test_with_nothing_to_go_back_to_nothing_changes(ports: Ports, capsys: Capture) -> None:
    register(ports, 1)
    start(ports)
    answer = call(capsys, "rollback")
    assert answer.code == 9
    assert "nothing to roll back to" in answer.err
    assert len(ledger.events(ports.state)) == 2


def test_a_retraining_that_fails_its_gates_ends_in_their_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, capsys: Capture
) -> None:
    ports = project(tmp_path, monkeypatch, SETTINGS + "gates: {roc_auc: 0.9999}\n")
    register(ports, 1)
    start(ports)
    answer = call(capsys, "retrain", "--reason", "new tariff")
    assert answer.code == 5
    assert "Nothing was released" in answer.out
    assert "1 of 2 gates failed" in answer.out
    assert retraining.history(ports.state)[-1].reason.startswith("new tariff; asked for by hand")
    assert len(alerting.history(ports.state)) == 1
    assert ledger.current(ports.state).champion == 1


def test_a_retraining_on_broken_data_ends_in_the_code_of_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, capsys: Capture
) -> None:
    ports = project(tmp_path, monkeypatch, SETTINGS + "checks: [{rows: {min: 1000000}}]\n")
    register(ports, 1)
    start(ports)
    answer = call(capsys, "retrain", "--json")
    assert answer.code == 4
    document = answer.json
    assert (document["deployed"], document["version"], document["exit_code"]) == (False, None, 4)


def test_before_the_first_release_there_is_nothing_to_retrain(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "retrain")
    assert answer.code == 11
    assert "everfit run" in answer.err


def test_a_retraining_that_succeeds_says_which_version(capsys: Capture) -> None:
    retrain.show(Retraining(NOW, True, "asked for by hand", version=3, deployed=True), Output(False))
    said = capsys.readouterr().out
    assert "Version 3 passed every gate and is being released" in said
    assert "asked for by hand" in said
