"""No file names a machine's folders or a package index: what is written here holds on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.modules import PACKAGE, ROOT

# Put together from halves, or this file would be the first to fail.
FORBIDDEN = ("/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/", "/Us" + "ers/", "py" + "pi.org", "pythonho" + "sted.org")
MADE = {"site", "htmlcov", "demo", "build", "dist", "__pycache__", "node_modules"}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        made = path.name in MADE or (path.name.startswith(".") and path.name not in {".ci", ".github", ".env.example"})
        if path.is_dir() and not made:
            yield from _files(path)
        elif path.is_file() and not made:
            yield path


def _text(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_file_names_a_place_of_one_machine(words: str) -> None:
    assert [str(path.relative_to(ROOT)) for path in _files(ROOT) if words in _text(path)] == []


def test_no_doctest_is_switched_off() -> None:
    assert [path.name for path in PACKAGE.rglob("*.py") if "doctest: +SK" + "IP" in path.read_text("utf-8")] == []
