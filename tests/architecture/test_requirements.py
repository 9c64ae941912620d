"""docs/requirements.md answers every requirement, and points only at what is there."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.architecture.commands import fault
from tests.architecture.modules import PACKAGE, ROOT
from tests.architecture.settings import setting_paths

ROW = re.compile(r"^\| (\d+) \| ([A-Z]) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "requirements.md").read_text(encoding="utf-8"))
SERVED = [(int(number), re.findall(r"`([^`]+)`", status)) for number, _, _, status in ROWS if status.strip() != "open"]


def _python_name_exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            # A dataclass with slots and a pydantic model keep their fields apart from their attributes.
            if name not in getattr(value, "__annotations__", {}) and not hasattr(value, name):
                return False
            value = getattr(value, name, None)
        return True
    return False


def _missing(pointer: str) -> str | None:
    """Why a pointer leads nowhere, or None: a command, a make target, a route, a Python name, a path or a setting."""
    first, _, rest = pointer.partition(" ")
    if first == "everfit":
        return fault(rest.split(), mention=True)
    if first == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        return None if re.search(rf"^{rest}:", makefile, re.MULTILINE) else f"no target {rest}"
    if first in {"GET", "POST"}:
        served = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "serving").glob("*.py"))
        return None if f'"{rest}"' in served else f"no route {rest}"
    if first.startswith("everfit."):
        return None if _python_name_exists(first) else f"no name {first}"
    exists = pointer in setting_paths() or (ROOT / pointer).exists()
    return None if exists else f"neither a file nor a setting: {pointer}"


def test_every_number_has_exactly_one_row() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 391))


def test_every_row_says_open_or_points_somewhere() -> None:
    assert [number for number, pointers in SERVED if not pointers] == []


@pytest.mark.parametrize(("number", "pointers"), SERVED, ids=[str(number) for number, _ in SERVED])
def test_pointers_lead_somewhere(number: int, pointers: list[str]) -> None:
    assert {pointer: why for pointer in pointers if (why := _missing(pointer))} == {}, f"requirement {number}"
