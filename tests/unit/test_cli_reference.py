"""Every command has a help text with examples, and the written reference of settings is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.architecture.modules import ROOT
from tests.unit.cli_project import call

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
