"""`everfit config` shows every setting with its origin; `everfit schema` is what an editor reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli_project import SETTINGS, call, project

from everfit.project.describe import json_schema

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    project(tmp_path, monkeypatch, SETTINGS.replace("customers.csv", 'customers.csv\n  key: "${KEY}"'))


def test_each_setting_has_its_value_and_origin(capsys: Capture) -> None:
    lines = {line.split()[0]: line.split()[1:] for line in call(capsys, "config").out.splitlines()[2:] if line}
    assert lines["data.entity"] == ["customerID", "everfit.yaml:6"]
    assert lines["training.seed"] == ["42", "default"]


def test_secrets_are_not_shown(capsys: Capture) -> None:
    for arguments in (["config"], ["config", "--json"]):
        out = call(capsys, *arguments).out
        assert "****" in out
        assert "hunter2" not in out


def test_an_override_says_so(capsys: Capture) -> None:
    settings = {one["path"]: one for one in call(capsys, "config", "--set", "training.seed=7", "--json").json}
    assert (settings["training.seed"]["value"], settings["training.seed"]["origin"]) == ("7", "--set")


def test_changed_leaves_the_defaults_out(capsys: Capture) -> None:
    found = call(capsys, "config", "--changed", "--json").json
    assert found
    assert "default" not in {one["origin"] for one in found}


def test_a_long_value_is_cut_for_people_only(capsys: Capture) -> None:
    columns = ", ".join(f"c{number}" for number in range(50))
    given = ["--set", f"data.exclude=[{columns}]"]
    assert "c49" not in call(capsys, "config", *given).out
    assert "--json shows the whole value" in call(capsys, "config", *given).out
    assert "c49" in call(capsys, "config", "--json", *given).out


def test_a_wrong_file_ends_in_2(capsys: Capture) -> None:
    Path("everfit.yaml").write_text(SETTINGS + "sorce: x\n")
    answer = call(capsys, "config")
    assert answer.code == 2
    assert "everfit.yaml:10:1" in answer.err


def test_the_schema_is_printed_and_needs_no_project(capsys: Capture) -> None:
    Path("everfit.yaml").unlink()
    answer = call(capsys, "schema")
    assert (answer.code, answer.json) == (0, json_schema())


def test_the_schema_is_written_to_a_file(capsys: Capture) -> None:
    assert call(capsys, "schema", "-o", "s.json", "--json").json == {"output": "s.json"}
    assert json.loads(Path("s.json").read_text()) == json_schema()


def test_a_place_that_takes_no_file_is_told(capsys: Capture) -> None:
    answer = call(capsys, "schema", "-o", "no/such/folder.json")
    assert answer.code == 8
    assert "choose another place" in answer.err
