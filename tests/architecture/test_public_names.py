"""`everfit` offers exactly these names."""

from __future__ import annotations

import everfit


def test_public_names_are_exactly_these() -> None:
    assert sorted(everfit.__all__) == ["EverfitError", "Project", "Workspace", "__version__", "load"]


def test_every_public_name_is_there() -> None:
    assert [name for name in everfit.__all__ if not hasattr(everfit, name)] == []
