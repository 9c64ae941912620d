"""Every command has a help text with examples, and the written reference of settings is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.architecture.modules import ROOT
from tests.unit.cli_project import call

from everfit.cli import main
from everfit.project.describe import settings_page

COMMANDS = ["status", "history", "config", "schema", "doctor", "rollback", "retrain"]


def test_the_page_of_settings_is_what_the_sections_say() -> None:
    page = ROOT / "docs" / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page(), "write it anew: make reference"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_json(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(capsys, name, "--help")
    assert answer.code == 0
    assert "Examples:\n" in answer.out
    assert f"  everfit {name}" in answer.out
    assert "--json" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_a_command_that_does_not_exist_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, "relaese")
    assert (answer.code, "Did you mean 'release'?" in answer.err) == (64, True)
    assert "Did you mean" not in call(capsys, "xyzzy").err


def test_every_command_stands_on_one_uncut_line_of_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    lines = call(capsys, "--help").out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(main.COMMANDS)
    assert not any(line.endswith("...") for line in lines)
