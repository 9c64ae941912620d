"""`everfit demo` tells the truth: its facts are those of a loop that really ran."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from everfit.demo import folder
from everfit.errors import ProjectError
from everfit.flow import ledger
from everfit.project.load import load
from everfit.workspace import Workspace

# What another run of the same seed may say otherwise: how long things took, and what a day is called.
UNEQUAL = {"seconds", "folder", "fingerprint", "next"}


def start(into: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from everfit.cli.main import main; main()", "demo", "--fast", "--json"]
    return subprocess.Popen([*command, "--into", str(into)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two runs of one seed, side by side."""
    root = tmp_path_factory.mktemp("demo")
    started = [start(root / name) for name in ("one", "two")]
    ended = [(process, *process.communicate(timeout=900)) for process in started]
    assert [(process.returncode, errors.decode()[-2000:]) for process, _, errors in ended if process.returncode] == []
    return [json.loads(output) for _, output, _ in ended]


@pytest.fixture(scope="module")
def facts(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return runs[0]


def test_nothing_came_out_otherwise(facts: dict[str, Any]) -> None:
    assert facts["surprises"] == []


def test_the_data_passed_its_checks(facts: dict[str, Any]) -> None:
    assert facts["data"]["rows"] == 2_500
    assert facts["data"]["passed"] == facts["data"]["checks"] > 10
    assert len(facts["data"]["fingerprint"]) > 16


def test_the_best_candidate_passed_every_gate_and_became_champion(facts: dict[str, Any]) -> None:
    scores = facts["candidates"]["scores"]
    assert scores[facts["candidates"]["chosen"]] > max(scores.values()) - 0.01  # the simplest of the good ones
    assert all(gate["passed"] for gate in facts["gates"]["gates"].values())
    assert facts["gates"]["version"] == facts["answers"]["champion"] == 1


def test_a_customer_gets_the_same_answer_by_columns_and_by_identifier(facts: dict[str, Any]) -> None:
    assert facts["answers"]["by_columns"] == facts["answers"]["by_entity"]
    assert 0 < facts["answers"]["by_columns"]["churn_probability"] < 1


def test_no_alarm_rings_before_anything_changed(facts: dict[str, Any]) -> None:
    quiet = facts["quiet"]
    assert (quiet["alarms"], quiet["looks"], quiet["predictions"]) == (0, 2, 5_000)
    assert abs(quiet["value"] - quiet["expected"]) < 0.05
    assert 0 < quiet["false_alarms"] < 0.05


def test_the_drift_alarm_names_the_columns_that_drifted(facts: dict[str, Any]) -> None:
    found = facts["drift"]["drift"]
    assert {"monthly_charges", "contract_type"} <= set(found["columns"])
    assert "monthly_charges" in found["alarm"]
    assert found["kinds"][0] == "drift"
    assert not found["retrain"]


def test_the_performance_alarm_comes_with_the_labels(facts: dict[str, Any]) -> None:
    found = facts["drift"]["performance"]
    assert found["alarm"]
    assert found["value"] < found["expected"] - 0.2
    assert found["labels"] > 500


def test_the_retraining_has_reasons_and_makes_a_better_version(facts: dict[str, Any]) -> None:
    found = facts["retraining"]
    assert found["retrain"]
    assert found["trigger"] == "performance"
    assert found["reasons"]
    assert found["version"] == 2
    assert found["new_on_new_rows"] > found["old_on_new_rows"] + 0.1
    assert found["gates"]["not_worse_than_production"]["passed"]


def test_the_canary_goes_step_by_step_to_promotion(facts: dict[str, Any]) -> None:
    verdicts = [verdict for verdict in facts["canary"]["verdicts"] if verdict != "inconclusive"]
    assert verdicts == ["advance", "promote"]
    assert facts["canary"]["arms"] == {"champion": 1, "challenger": 2}
    assert facts["canary"]["champion"] == 2


def test_the_rollback_brings_the_first_version_back(facts: dict[str, Any]) -> None:
    assert (facts["rollback"]["before"], facts["rollback"]["after"], facts["rollback"]["champion"]) == (2, 1, 1)


def test_the_ledger_on_disk_says_the_same(facts: dict[str, Any]) -> None:
    state = Workspace(load(Path(facts["folder"]) / folder.PROJECT)).ports.state
    events = ledger.events(state)  # raises when the chain of hashes is broken
    assert [f"{event.kind.value} {event.version}" for event in events] == facts["rollback"]["ledger"]
    assert ledger.current(state).champion == 1
    assert all(before.at <= after.at for before, after in pairwise(events))


def test_the_commands_at_the_end_name_files_that_are_there(facts: dict[str, Any]) -> None:
    assert [path for path in facts["next"]["files"].values() if not Path(path).exists()] == []


def test_equal_seeds_tell_the_same_story(runs: list[dict[str, Any]]) -> None:
    one, two = ({key: _comparable(value) for key, value in run.items() if key not in UNEQUAL} for run in runs)
    assert one == two


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder.write(tmp_path, seed=7, fast=True)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ProjectError, match=r"thesis\.txt"):
        folder.prepare(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["everfit.yaml", "features.py", "thesis.txt"]


def test_a_project_of_somebody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "everfit.yaml").write_text("project: mine\n")
    with pytest.raises(ProjectError, match="no demo wrote"):
        folder.prepare(tmp_path)


def test_an_earlier_demo_makes_room(tmp_path: Path) -> None:
    folder.write(tmp_path, seed=7, fast=True)
    (tmp_path / ".everfit" / "dev").mkdir(parents=True)
    assert folder.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_or_empty_folder_needs_no_room(tmp_path: Path) -> None:
    assert not folder.prepare(tmp_path)
    assert not folder.prepare(tmp_path / "new")


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items() if key not in UNEQUAL}
    return value
