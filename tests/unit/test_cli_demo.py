"""How the demo is told where nobody looks on."""

from __future__ import annotations

import pytest

from everfit.cli.demo import Screen
from everfit.cli.output import Output


@pytest.mark.parametrize("begins", ["", "  - "])
def test_a_long_line_is_wrapped_and_not_cut_in_a_file(capsys: pytest.CaptureFixture[str], begins: str) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    Screen(Output(json=False)).line(begins + words)
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(" ".join(lines).split()) == (begins.lstrip() + words)
    assert 1 < max(map(len, lines)) <= 100
