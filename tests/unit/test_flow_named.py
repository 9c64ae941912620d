"""A function by its name is the function itself, and is read without being imported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_type_hints

import pytest

from everfit.errors import ProjectError
from everfit.flow import steps
from everfit.flow.graph import step
from everfit.flow.named import Named

TEXT = """
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import unheard_of.things


class Own:
    pass


def plain(a, b: int, into: Path, c: int = 3, *, d, e=4) -> Mapping[str, tuple[Path, ...]]:
    return {str(a): (into,) * b}


def own(a) -> Own:
    return Own()


def silent(a):
    return a


@staticmethod
def wrapped(a) -> int:
    return a
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "named_steps.py").write_text(TEXT, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("named_steps", None)


@pytest.mark.usefixtures("there")
def test_what_it_takes_and_gives_is_known_without_importing_it() -> None:
    found = step(Named("named_steps", "plain"), b="bound")
    assert (found.name, found.needs, found.wants_folder) == ("plain", {"a": "a", "b": "bound", "d": "d"}, True)
    assert found.output == get_type_hints(_typed)["return"]
    assert "named_steps" not in sys.modules


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(("name", "what"), [("wrapped", "is no plain function"), ("absent", "is no plain function")])
def test_what_cannot_be_read_is_refused(name: str, what: str) -> None:
    with pytest.raises(ProjectError, match=what):
        _ = Named("named_steps", name).parameters


@pytest.mark.usefixtures("there")
def test_a_function_that_does_not_say_what_it_returns_is_refused() -> None:
    with pytest.raises(ProjectError, match="does not say what it returns"):
        _ = Named("named_steps", "silent").output


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(ProjectError, match="there is no such module"):
        _ = Named("named_steps_that_are_not_there", "f").parameters


@pytest.mark.parametrize("module", [one.name for one in pkgutil.iter_modules(steps.__path__, f"{steps.__name__}.")])
def test_every_function_of_the_steps_is_read_as_python_reads_it(module: str) -> None:
    loaded = importlib.import_module(module)
    functions = [one for one in vars(loaded).values() if inspect.isfunction(one) and one.__module__ == module]
    assert functions
    for function in functions:
        named, plain = step(Named(module, function.__name__)), step(function)
        assert (named.needs, named.wants_folder, named.output) == (plain.needs, plain.wants_folder, plain.output)


def _typed() -> Mapping[str, tuple[Path, ...]]:
    return {}
