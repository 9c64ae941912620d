"""Small modules, small functions, no cycles: the sizes that the house promises."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from statistics import median

from tests.architecture.modules import Function, Module, body_lines, classes, dependencies, functions, modules

JUNK = {"utils", "util", "common", "helpers", "helper", "base", "misc"}


def test_no_file_is_longer_than_450_lines() -> None:
    assert {m.place: m.lines for m in modules().values() if m.lines > 450} == {}


def test_half_of_the_files_stay_within_120_lines() -> None:
    assert median(m.lines for m in modules().values() if m.lines > 3) <= 120


def test_no_function_is_longer_than_50_lines() -> None:
    sizes = {f"{m.place}:{f.lineno} {f.name}": body_lines(f) for m in modules().values() for f in functions(m)}
    assert {where: size for where, size in sizes.items() if size > 50} == {}


def test_half_of_the_functions_stay_within_7_lines() -> None:
    assert median(body_lines(f) for m in modules().values() for f in functions(m)) <= 7


def test_no_class_has_more_than_12_methods() -> None:
    counts = {
        f"{m.place} {c.name}": sum(isinstance(node, Function) for node in c.body)
        for m in modules().values()
        for c in classes(m)
    }
    assert {where: count for where, count in counts.items() if count > 12} == {}


def test_no_module_is_named_after_nothing() -> None:
    assert [m.place for m in modules().values() if JUNK & set(m.name.split("."))] == []


def test_adapters_stay_within_120_lines() -> None:
    adapters = [m for m in modules().values() if m.place.startswith("adapters/")]
    assert {m.place: m.lines for m in adapters if m.lines > 120} == {}


def test_no_modules_import_each_other_not_even_lazily() -> None:
    # `prepare` raises CycleError, which names the cycle.
    TopologicalSorter({m.name: dependencies(m) for m in modules().values()}).prepare()


def test_dependencies_count_an_import_inside_a_function() -> None:
    text = "def later() -> None:\n    from everfit.records import table\n"
    lazy = Module("everfit.flow.later", "flow/later.py", 2, ast.parse(text))
    assert dependencies(lazy) == {"everfit.records.table"}
