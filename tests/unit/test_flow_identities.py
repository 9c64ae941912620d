"""A remembered identity is the one that would be found out anew, and only while it would."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.flow import code, identities
from everfit.flow.code import identity
from everfit.flow.identities import Identities

STEPS = """
import importlib
from remembered import tools

def step(x):
    return tools.shift(x)

def lazy(x):
    return importlib.import_module("later_installed").f(x)

def made(y):
    def inner(x):
        return x + y
    return inner

closed = made(1)
"""


class Project:
    """A package that can be edited, and the store of its identities."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FolderArtifacts(folder / "artifacts")
        self.write("remembered/__init__.py", "")
        self.write("remembered/steps.py", STEPS)
        self.write("remembered/tools.py", "def shift(x):\n    return x + 1\n")

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
        importlib.invalidate_caches()

    def function(self, name: str) -> Callable[..., Any]:
        """The function as a new process would import it."""
        for module in [module for module in sys.modules if module.split(".")[0] == "remembered"]:
            del sys.modules[module]
        found: Callable[..., Any] = getattr(importlib.import_module("remembered.steps"), name)
        return found

    def of(self, name: str, keep: bool = False) -> code.CodeIdentity:
        """The identity as a run comes by it."""
        function, known = self.function(name), Identities(self.store, ("remembered",))
        found = known.of(function)
        if keep:
            known.keep()
        return found

    def remember(self, name: str) -> None:
        self.of(name, keep=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Project(tmp_path)
    for module in [module for module in sys.modules if module.split(".")[0] == "remembered"]:
        del sys.modules[module]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions whose code was really read."""
    names: list[str] = []

    def reach(function: Callable[..., Any], first_party: tuple[str, ...]) -> code.Reach:
        names.append(function.__name__)
        return code.reach(function, first_party)

    monkeypatch.setattr(identities, "reach", reach)
    return names


def test_what_is_remembered_is_not_read_again(project: Project, read: list[str]) -> None:
    project.remember("step")
    again = project.of("step")
    fresh = identity(project.function("step"), ("remembered",))
    assert read == ["step"]
    assert (again.digest, again.packages) == (fresh.digest, fresh.packages)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("remembered/steps.py", STEPS.replace("shift(x)", "shift(2 * x)")),
        ("remembered/tools.py", "def shift(x):\n    return x + 2\n"),
        ("remembered/__init__.py", "tools = None\n"),
    ],
    ids=["the step", "what it calls", "what it passes through"],
)
def test_a_change_in_any_module_on_the_way_is_seen(project: Project, path: str, text: str) -> None:
    project.remember("step")
    project.write(path, text)
    assert project.of("step") == identity(project.function("step"), ("remembered",))


def test_a_module_that_was_missing_and_is_there_now_is_seen(project: Project) -> None:
    project.write("remembered/steps.py", "def step(x):\n    import remembered\n    return remembered.extra.f(x)\n")
    project.remember("step")
    project.write("remembered/extra.py", "def f(x):\n    return x\n")
    found = project.of("step")
    assert "remembered.extra:f" in found.parts


def test_a_package_named_in_a_text_counts_from_when_it_is_installed(project: Project) -> None:
    project.remember("lazy")
    before = project.of("lazy").packages
    project.write("later_installed/__init__.py", "")
    project.write(
        "later_installed-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: later_installed\nVersion: 1.5\n"
    )
    code._version.cache_clear()
    assert (before, project.of("lazy").packages) == ({}, {"later_installed": "1.5"})


def test_a_function_that_is_more_than_its_text_is_read_every_time(project: Project, read: list[str]) -> None:
    for _ in range(2):
        project.remember("closed")
    assert read == ["inner", "inner"]


def test_a_damaged_memory_is_made_anew(project: Project, read: list[str]) -> None:
    project.remember("step")
    project.store.link(identities._key(("remembered",)), b'{"modules": [')
    project.remember("step")
    project.remember("step")
    assert read == ["step", "step"]


def test_one_memory_holds_the_functions_of_several_runs(project: Project, read: list[str]) -> None:
    project.remember("step")
    project.remember("lazy")
    project.remember("step")
    project.remember("lazy")
    assert read == ["step", "lazy"]
