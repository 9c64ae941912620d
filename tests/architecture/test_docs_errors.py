"""The page of exit codes lists every error class with the code and the status that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from everfit.errors import EverfitError
from tests.architecture.modules import ROOT


def _tree(top: type[EverfitError]) -> Iterator[type[EverfitError]]:
    yield top
    for child in top.__subclasses__():
        yield from _tree(child)


def test_every_error_is_listed_with_its_exit_code_and_status() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    listed = {name: (int(code), int(http)) for code, name, http in re.findall(r"\| (\d+) \| `(\w+)` \| (\d+) \|", page)}
    known = {error for error in _tree(EverfitError) if error.__module__ == EverfitError.__module__}
    assert listed == {error.__name__: (error.exit_code, error.status) for error in known}


def test_every_error_has_its_advice() -> None:
    page = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text(encoding="utf-8")
    assert [
        error.__name__ for error in _tree(EverfitError) if error.__name__ not in page and error is not EverfitError
    ] == []
