"""The documentation shows only commands that exist, and shows all of them; the same for settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.commands import calls, fault, mentions, names
from tests.architecture.modules import ROOT
from tests.architecture.settings import setting_paths

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_shown_exist_with_their_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    faults = {" ".join(words): fault(words) for words in calls(text)}
    faults |= {" ".join(words): fault(words, mention=True) for words in mentions(text)}
    assert {command: what for command, what in faults.items() if what} == {}


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "commands").glob("*.md")} - {"index"}
    assert pages == set(names())


def test_every_command_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in names() if f"commands/{name}.md" not in navigation] == []


def test_every_setting_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert sorted(path for path in setting_paths() if f"`{path}`" not in reference) == []


def test_commands_are_found_in_blocks_with_and_without_prompts_and_in_running_text() -> None:
    text = "Use `everfit status`.\n```console\n$ everfit run --why  # reasons\neverfit: output\n```\n"
    text += "```bash\nmake demo && .venv/bin/everfit predict a.csv \\\n  -o b.csv | head\n```\n"
    assert list(calls(text)) == [["run", "--why"], ["predict", "a.csv", "-o", "b.csv"]]
    assert list(mentions(text)) == [["status"]]


@pytest.mark.parametrize("words", [["no-such-command"], ["run", "--no-such-option"]])
def test_wrong_command_is_noticed(words: list[str]) -> None:
    assert fault(words)
