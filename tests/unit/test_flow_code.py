"""A change in what a function reaches changes its identity, a change elsewhere does not."""

import functools
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everfit.errors import ProjectError
from everfit.flow.code import CodeIdentity, identity

PACKAGE = {
    "__init__.py": "",
    "steps.py": '''
"""The steps."""
import functools
import json
import numpy as np
from mine import tools
from mine.maths import double as twice
import mine.deep.inner
from .records import Result

LIMIT = 10
TABLE = {}
TABLE["mean"] = np.mean

def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

@logged
def step(x, score=tools.default_score()):
    """Doc."""
    # a comment
    from mine.lazy import late
    triple = [triple for triple in range(3)]
    def nested(y):
        return tools.shift(y)
    return Result(twice(nested(x)) + late(x) + LIMIT + mine.deep.inner.bottom(x), TABLE, triple)

def unused():
    return 1

def triple(x):
    return 3 * x

class Model:
    """A class."""
    size: int = 3

    def fit(self, x):
        return self.score(x)

    def score(self, x):
        return tools.shift(x)

def local_class(x):
    def make():
        import mine.lazy as later
        return later.late
    return make()(x)

pick = lambda x: tools.shift(x)

def over(items):
    return [triple(item) for item in items]

def whole():
    return vars(tools)

def quiet(function):
    return lambda x: function(x)
''',
    "tools.py": """
from mine.maths import *
OFFSET = 1

def shift(x):
    return x + OFFSET + starred(x)

def default_score():
    return 2

def not_called():
    return 5
""",
    "maths.py": """
try:
    import polars as fast
except ImportError:
    fast = None

def double(x):
    return even(x) * 2

def even(x):
    return odd(x - 1) if x else 0

def odd(x):
    return even(x - 1) if x else 1

def starred(x):
    return x
""",
    "lazy.py": "def late(x):\n    return x - 1\n\n\ndef later(x):\n    return x\n",
    "records.py": """
from dataclasses import dataclass

class Base:
    weight = 1.0

@dataclass
class Result(Base):
    value: int
    table: dict
    triple: "list"

    def total(self):
        return self.value

class Other:
    pass
""",
    "deep/__init__.py": "",
    "deep/inner.py": "def bottom(x):\n    return top(x)\n\n\ndef top(x):\n    return x + 7\n",
}

Read = Callable[..., CodeIdentity]
Pick = Callable[[Any], Any]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Writes the package with some text replaced, imports it anew and takes the identity of something in it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    numbers = itertools.count()

    def identify(
        file: str = "steps.py", old: str = "", new: str = "", of: Pick = lambda steps: steps.step
    ) -> CodeIdentity:
        root = tmp_path / str(next(numbers))
        assert old in PACKAGE[file]
        for name, text in PACKAGE.items():
            path = root / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(old, new, 1) if name == file and old else text, encoding="utf-8")
        _forget()
        monkeypatch.syspath_prepend(root)
        return identity(of(importlib.import_module("mine.steps")), ["mine"])

    yield identify
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name == "mine" or name.startswith("mine.")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("steps.py", "nested(y):", "nested(y, z=0):"),
        ("steps.py", "LIMIT = 10", "LIMIT = 11"),
        ("steps.py", 'TABLE["mean"] = np.mean', 'TABLE["mean"] = np.median'),
        ("steps.py", "return function(*args)", "return function(*args) or 0"),
        ("tools.py", "x + OFFSET", "x - OFFSET"),
        ("tools.py", "OFFSET = 1", "OFFSET = True"),
        ("tools.py", "return 2", "return 3"),
        ("maths.py", "* 2", "* 3"),
        ("maths.py", "else 1", "else 2"),
        ("maths.py", "def starred(x):\n    return x", "def starred(x):\n    return -x"),
        ("lazy.py", "x - 1", "x - 2"),
        ("deep/inner.py", "x + 7", "x + 8"),
        ("records.py", "value: int", "value: float"),
        ("records.py", "return self.value", "return -self.value"),
        ("records.py", "weight = 1.0", "weight = 1"),
    ],
)
def test_a_change_in_what_is_reached_changes_the_identity(read: Read, file: str, old: str, new: str) -> None:
    before, after = read(), read(file, old, new)
    assert before.digest != after.digest
    assert [part for part in before.parts if before.parts[part] != after.parts.get(part)]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("steps.py", "# a comment", "# another comment, of more words"),
        ("steps.py", '"""Doc."""', '"""Another docstring."""'),
        ("steps.py", "def unused():\n    return 1", "def unused():\n    return 2"),
        ("steps.py", "return 3 * x", "return 4 * x"),  # step has a local of that name
        ("steps.py", "step(x, score", "step(  x,\n\n    score"),
        ("steps.py", "def nested(y):\n", "def nested(y):\n        'a docstring'\n"),
        ("tools.py", "return 5", "return 6"),
        ("lazy.py", "    return x\n", "    return -x\n"),
        ("records.py", "class Other:\n    pass", "class Other:\n    x = 1"),
        ("deep/inner.py", "\n\n\n", "\n\n\n\n\n"),
    ],
)
def test_a_change_elsewhere_does_not(read: Read, file: str, old: str, new: str) -> None:
    assert read().digest == read(file, old, new).digest


def test_reading_twice_gives_the_same(read: Read) -> None:
    assert read() == read()


def test_the_parts_name_what_is_reached(read: Read) -> None:
    parts = read().parts
    assert {"mine.steps:step", "mine.steps:logged", "mine.maths:odd", "mine.lazy:late"} <= set(parts)
    assert "mine.steps:unused" not in parts


def test_packages_are_those_that_the_reached_modules_import(read: Read) -> None:
    packages = read().packages
    assert packages.keys() == {"numpy", "polars"}
    assert packages["numpy"] == importlib.import_module("numpy").__version__


def test_a_distribution_of_another_name_than_its_package_is_found(read: Read) -> None:
    assert "scikit-learn" in read("tools.py", "OFFSET = 1", "import sklearn\nOFFSET = 1").packages
    assert "pytest" in read("tools.py", "OFFSET = 1", "import _pytest\nOFFSET = 1").packages


@pytest.mark.parametrize(
    "of",
    [
        lambda steps: functools.partial(steps.step, 3),
        lambda steps: functools.partial(functools.partial(steps.step, 4), score=steps.unused),
    ],
)
def test_a_partial_is_its_function_whatever_is_bound(read: Read, of: Pick) -> None:
    assert read(of=of) == read()


@pytest.mark.parametrize(
    "of", [lambda steps: steps.Model, lambda steps: steps.Model().fit, lambda steps: steps.Model.fit]
)
def test_a_method_stands_for_its_whole_class(read: Read, of: Pick) -> None:
    before = read(of=of)
    assert before.digest != read("steps.py", "size: int = 3", "size: int = 4", of=of).digest
    assert before.digest != read("tools.py", "x + OFFSET", "x - OFFSET", of=of).digest


def test_a_callable_object_is_its_class(read: Read) -> None:
    change = ("steps.py", "def fit(self", "def __call__(self")
    assert read(*change, of=lambda steps: steps.Model()) == read(*change, of=lambda steps: steps.Model)


def test_a_lambda_is_found_by_its_line(read: Read) -> None:
    def of(steps: Any) -> Any:
        return steps.pick

    assert read(of=of).digest != read("tools.py", "OFFSET = 1", "OFFSET = 2", of=of).digest


def test_an_import_in_a_nested_function_is_followed(read: Read) -> None:
    def of(steps: Any) -> Any:
        return steps.local_class

    before = read(of=of)
    assert before.digest != read("lazy.py", "x - 1", "x - 2", of=of).digest
    assert before.digest == read("lazy.py", "return x\n", "return -x\n", of=of).digest


def test_a_name_of_a_comprehension_hides_nothing_outside_it(read: Read) -> None:
    def of(steps: Any) -> Any:
        return steps.over

    shadowed = ("steps.py", "triple(item) for item in items", "triple(1) for triple in [triple]")
    assert "mine.steps:triple" in read(of=of).parts
    assert "mine.steps:triple" in read(*shadowed, of=of).parts


def test_modules_imported_by_name_are_followed_too(read: Read) -> None:
    by_name = (
        "tools.py",
        "OFFSET = 1",
        'import importlib\nOFFSET = importlib.import_module("mine.lazy"), "scipy.stats"',
    )
    assert "scipy" in read(*by_name).packages
    assert "mine.lazy:later" in read(*by_name).parts


def test_a_module_used_as_a_value_counts_whole(read: Read) -> None:
    def of(steps: Any) -> Any:
        return steps.whole

    assert read(of=of).digest != read("tools.py", "return 5", "return 6", of=of).digest


def test_a_function_that_another_closes_over_is_followed(read: Read) -> None:
    parts = read(of=lambda steps: steps.quiet(steps.unused)).parts
    assert {"mine.steps:quiet", "mine.steps:unused"} <= set(parts)


def test_a_reload_is_seen_and_an_edit_without_one_is_not(read: Read) -> None:
    before = read()
    step, tools = sys.modules["mine.steps"].step, sys.modules["mine.tools"]
    path = Path(str(tools.__file__))
    path.write_text(path.read_text(encoding="utf-8").replace("OFFSET = 1", "OFFSET = 9"), encoding="utf-8")
    assert identity(step, ["mine"]) == before
    importlib.reload(tools)
    assert identity(step, ["mine"]).digest != before.digest


def test_code_of_others_counts_by_version_only() -> None:
    numpy = importlib.import_module("numpy")
    found = identity(numpy.histogram_bin_edges, ["mine"])
    assert (found.parts, found.packages) == ({}, {"numpy": numpy.__version__})


def test_code_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {"__name__": "mine_text"}
    exec("def step(x):\n    return x", namespace)
    with pytest.raises(ProjectError, match="step is not in the module's source"):
        identity(namespace["step"], ["mine_text"])
