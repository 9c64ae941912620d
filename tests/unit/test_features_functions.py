from __future__ import annotations

import warnings

import numpy as np
import pytest

from everfit.errors import ProjectError, StepFailed
from everfit.features.compute import compute
from everfit.features.functions import inputs, load
from everfit.features.values import kinds
from everfit.records.table import Column, Kind, Schema

SOURCE = '''
from math import pi
import numpy as np

def purchase_frequency(total_purchases, tenure_months):
    """Purchases a month."""
    return total_purchases / np.maximum(tenure_months, 1)

def is_frequent(purchase_frequency):
    return purchase_frequency > 2

def size(total_purchases):
    return np.where(total_purchases > 5, "big", "small")

def _private(x):
    return x
'''


def columns() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return {"total_purchases": np.array([10.0, 3.0, np.nan]), "tenure_months": np.array([2.0, 0.0, 4.0])}


def test_public_functions_of_the_text_are_the_features() -> None:
    assert list(load(SOURCE).callables) == ["purchase_frequency", "is_frequent", "size"]


def test_the_sources_example_is_computed_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compute(load(SOURCE), columns(), ["purchase_frequency"])
    np.testing.assert_array_equal(result["purchase_frequency"], [5.0, 3.0, np.nan])


def test_a_feature_may_read_another_feature_wherever_it_stands() -> None:
    functions = load("def b(a):\n    return a + 1\ndef a(x):\n    return 2 * x")
    assert compute(functions, {"x": np.array([1.0])}, ["b"])["b"].tolist() == [3.0]


def test_only_what_is_wanted_is_computed() -> None:
    functions = load("def fails(x):\n    raise ValueError\ndef works(x):\n    return x")
    assert list(compute(functions, {"x": np.zeros(1)}, ["works", "x"])) == ["works", "x"]


def test_without_wanted_all_columns_and_features_come_back() -> None:
    assert list(compute(load(SOURCE), columns())) == [*columns(), "purchase_frequency", "size", "is_frequent"]


def test_one_row_gives_the_same_as_the_table() -> None:
    functions, table = load(SOURCE), columns()
    whole = compute(functions, table)
    for row in range(3):
        single = compute(functions, {name: values[row : row + 1] for name, values in table.items()})
        for name, values in single.items():
            np.testing.assert_array_equal(values, whole[name][row : row + 1])


def test_equal_text_has_an_equal_digest_and_another_text_another() -> None:
    assert load(SOURCE).digest == load(SOURCE, "other.py").digest != load(SOURCE + "\n").digest


def test_two_versions_live_side_by_side() -> None:
    old, new = load("def f(x):\n    return x + 1"), load("def f(x):\n    return x + 2")
    table = {"x": np.zeros(1)}
    assert (compute(old, table, ["f"])["f"][0], compute(new, table, ["f"])["f"][0]) == (1.0, 2.0)


def test_dataclasses_with_postponed_annotations_work_in_the_file() -> None:
    load("from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1")


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("def f(x):\n    return (", "features.py:2", "not valid Python"),
        ("import numpy\nimport no_such_module_here", "features.py:2", "no_such_module_here"),
        ("def f(*xs):\n    return 1", "features.py:1", "names no column"),
        ("def f():\n    return 1", "features.py:1", "reads no column"),
        ("def a(b):\n    return b\ndef b(a):\n    return a", "features.py", "need each other"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, place: str, what: str) -> None:
    with pytest.raises(ProjectError, match=what) as caught:
        load(text)
    assert caught.value.where == place


def test_a_cycle_is_named_in_full() -> None:
    with pytest.raises(ProjectError, match=r"a -> c -> b -> a|b -> a -> c -> b|c -> b -> a -> c"):
        load("def a(c):\n    return c\ndef b(a):\n    return a\ndef c(b):\n    return b")


def test_an_unknown_parameter_gets_a_suggestion() -> None:
    with pytest.raises(ProjectError, match="tenure_month") as caught:
        compute(load("def f(tenure_month):\n    return tenure_month"), columns(), ["f"])
    assert "tenure_months" in caught.value.fix


def test_an_unknown_wanted_name_gets_a_suggestion() -> None:
    with pytest.raises(ProjectError) as caught:
        compute(load(SOURCE), columns(), ["purchase_frequenzy"])
    assert "purchase_frequency" in caught.value.fix or "total_purchases" in caught.value.fix


def test_a_function_named_as_a_column_is_refused() -> None:
    with pytest.raises(ProjectError, match="name of a column"):
        compute(load("def x(y):\n    return y"), {"x": np.zeros(1), "y": np.zeros(1)})


def test_a_function_that_raises_names_the_users_line() -> None:
    with pytest.raises(StepFailed, match="ZeroDivisionError") as caught:
        compute(load("def f(x):\n    y = 1\n    return x + 1 / 0", "mine.py"), {"x": np.zeros(2)})
    assert caught.value.where == "mine.py:3"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("x[:1]", "shape"),
        ("np.zeros((2, 2))", "shape"),
        ("x.astype(complex)", "complex"),
        ("None", "nothing"),
        ("np.array(['a', 1.5], dtype=object)", "mixed"),
        ("np.array([[], {}], dtype=object)", "types"),
        ("np.zeros(2, 'm8[D]')", "duration"),
    ],
)
def test_a_result_of_another_form_is_refused(body: str, what: str) -> None:
    with pytest.raises(StepFailed, match=what) as caught:
        compute(load(f"import numpy as np\ndef f(x):\n    return {body}"), {"x": np.zeros(2)})
    assert caught.value.where == "features.py:2"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("7", [7.0, 7.0]),
        ("'a'", ["a", "a"]),
        ("x > 0", [0.0, 1.0]),
        ("(1 / x).astype('f4')", [np.nan, 1.0]),
        ("np.array([None, 'b'], dtype=object)", [None, "b"]),
        ("np.array([float('nan'), 'b'], dtype=object)", [None, "b"]),
        ("np.array([None, 2], dtype=object)", [np.nan, 2.0]),
        ("[1, 2]", [1.0, 2.0]),
    ],
)
def test_results_become_floats_or_texts(body: str, expected: list[object]) -> None:
    functions = load(f"import numpy as np\ndef f(x):\n    return {body}")
    result = compute(functions, {"x": np.array([0.0, 1.0])}, ["f"])["f"]
    np.testing.assert_array_equal(result, np.array(expected, dtype=result.dtype))
    assert result.dtype == (object if isinstance(expected[1], str) else np.float64)


def test_a_function_cannot_change_a_column() -> None:
    table = {"x": np.array([np.nan, 1.0])}
    with pytest.raises(StepFailed) as caught:
        compute(load("def f(x):\n    x[0] = 0\n    return x"), table)
    assert "copy" in caught.value.fix
    assert np.isnan(table["x"][0])


def test_kinds_follow_the_schema_and_the_results() -> None:
    features = compute(load(SOURCE), columns())
    found = kinds(features, Schema((Column("tenure_months", Kind.BOOLEAN),)))
    assert (found["tenure_months"], found["is_frequent"]) == (Kind.BOOLEAN, Kind.NUMERIC)
    assert found["size"] is Kind.CATEGORICAL


def test_inputs_are_the_raw_columns_behind_a_feature() -> None:
    assert inputs(load(SOURCE), ["is_frequent", "age"]) == ("total_purchases", "tenure_months", "age")
