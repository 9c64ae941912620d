from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.unit.compiled_models import FAMILIES, TREES, X, form, library

from everfit.compiled.edges import at_splits
from everfit.compiled.exactness import difference
from everfit.compiled.lanes import ROWS
from everfit.compiled.scorer import CompiledScorer, calibrator
from everfit.errors import StepFailed
from everfit.evaluation import calibration as plain
from everfit.records.calibration import Calibration, Isotonic, Method, Platt
from everfit.records.compiled import Activation, Form, Layer, Link, Network, Trees
from everfit.records.table import Task
from everfit.training.flatten.form import flat
from everfit.training.flatten.nodes import Tree, assembled
from everfit.training.scorers import BlendScorer

TASKS = list(Task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_scores_as_its_library_does_on_rows_and_on_every_split(family: str, task: Task) -> None:
    found = form(family, task)
    rows = np.concatenate([X, *at_splits(found, X)])
    expected, scores = library(family, task).score(rows), CompiledScorer(found).score(rows)
    assert difference(expected, scores) <= (0.0 if family == "xgboost" else 1e-12)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_one_row_gets_the_bits_that_it_gets_among_many(family: str, task: Task) -> None:
    compiled = CompiledScorer(form(family, task))
    many = compiled.score(X).reshape(len(X), -1)[:, -1]
    assert [compiled.one(row.tobytes())[-1] for row in X] == many.tolist()


@pytest.mark.parametrize("family", TREES)
def test_values_of_any_size_go_the_library_s_way(family: str) -> None:
    sizes = np.array([0.0, -0.0, 1e-320, -1e-45, 1e30, -1e30, 1e-300, 3.4e38, 1e-35, -1e-35, -1.00000002e-35])
    rows = np.random.default_rng(3).choice(sizes, (500, X.shape[1]))
    expected = library(family, Task.REGRESSION).score(rows)
    assert difference(expected, CompiledScorer(form(family, Task.REGRESSION)).score(rows)) <= 1e-12


def test_large_matrices_are_scored_in_threads_to_the_same_bits() -> None:
    rows = np.tile(X, (50, 1))
    compiled = CompiledScorer(form("xgboost", Task.BINARY))
    assert compiled.score(rows).tobytes() == np.tile(compiled.score(X), (50, 1)).tobytes()


def test_many_threads_share_a_scorer() -> None:
    compiled = CompiledScorer(form("random_forest", Task.MULTICLASS))
    expected = [compiled.one(row.tobytes()) for row in X]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(i for i, row in enumerate(X) if compiled.one(row.tobytes()) != expected[i])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", TREES)
def test_rows_that_go_through_trees_together_get_the_bits_that_each_gets_alone(family: str, task: Task) -> None:
    found = form(family, task)
    rows = np.concatenate([X, *at_splits(found, X)])
    together, alone = CompiledScorer(found), CompiledScorer(found, together=False)
    assert together.score(rows).tobytes() == alone.score(rows).tobytes()


@pytest.mark.parametrize("gap", [0, 63, 64, 399])
def test_a_row_that_lacks_a_number_among_many_is_scored_as_alone(gap: int) -> None:
    rows = X.copy()
    rows[gap, :] = np.nan
    together, alone = (CompiledScorer(form("xgboost", Task.BINARY), together=one) for one in (True, False))
    assert together.score(rows).tobytes() == alone.score(rows).tobytes()
    assert np.isfinite(together.score(rows)).all()


def test_a_leaf_that_is_no_number_stays_none() -> None:
    nodes = [("leaf", float("nan")), (0, 0.5, True, ("leaf", 1.0), ("leaf", float("nan")))]
    made = assembled([_flat(node) for node in nodes], np.array([0.5]), 3)
    assert np.isnan(CompiledScorer(Form((made,), (1.0,), 0)).score(np.zeros((ROWS, 3)))).all()


def test_trees_that_split_on_nothing_are_scored() -> None:
    made = assembled([_flat(("leaf", 2.0))] * 3, np.array([0.5]), 3)
    assert CompiledScorer(Form((made,), (1.0,), 0)).score(np.zeros((ROWS, 3))).tolist() == [6.5] * ROWS


def test_no_rows_get_no_scores() -> None:
    assert CompiledScorer(form("xgboost", Task.BINARY)).score(X[:0]).shape == (0, 2)


def test_a_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(StepFailed, match="6 columns"):
        CompiledScorer(form("xgboost", Task.BINARY)).score(X[:, :2])


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[Any], Trees]:
    """A few random trees, as nested tuples and as arrays."""
    numbers = st.floats(-3, 3, width=32)
    leaf = numbers.map(lambda value: ("leaf", value))

    def split(children: Any) -> Any:
        return st.tuples(st.integers(0, 2), numbers, st.booleans(), children, children)

    nested = draw(st.lists(st.recursive(leaf, split, max_leaves=12), min_size=1, max_size=10))
    return nested, assembled([_flat(tree) for tree in nested], np.array([0.5]), 3)


def _flat(nested: Any) -> Tree:
    nodes: list[list[Any]] = []

    def place(node: Any) -> int:
        at = len(nodes)
        nodes.append([])
        if node[0] == "leaf":
            nodes[at] = [0, 0.0, -1, -1, False, node[1]]
        else:
            column, threshold, missing, left, right = node
            nodes[at] = [column, threshold, place(left), place(right), missing, 0.0]
        return at

    place(nested)
    columns = [np.array(column) for column in zip(*nodes, strict=True)]
    columns[5] = columns[5].astype(float)[:, None]
    return Tree(*columns)


def _walked(node: Any, row: list[float]) -> float:
    while node[0] != "leaf":
        column, threshold, missing, left, right = node
        value = row[column]
        node = left if (missing if value != value else value <= threshold) else right
    return float(node[1])


@settings(deadline=None)
@given(trees(), arrays(np.float64, (7, 3), elements=st.floats(-3, 3, width=32) | st.just(np.nan) | st.just(np.inf)))
def test_random_trees_are_walked_as_plain_python_walks_them(made: tuple[list[Any], Trees], rows: Any) -> None:
    nested, flat = made
    rows = np.concatenate([rows, *at_splits(Form((flat,), (1.0,), 0), rows)])
    _demand_walked(nested, flat, rows)
    known = rows[np.isfinite(rows).all(axis=1)]
    if len(known):  # enough of them to go through the trees together, and a block that is not full
        _demand_walked(nested, flat, np.resize(known, (max(len(known), ROWS + 3), 3)))


def _demand_walked(nested: list[Any], flat: Trees, rows: Any) -> None:
    expected = []
    for row in rows.tolist():
        total = 0.5
        for tree in nested:
            total += _walked(tree, row)
        expected.append(total)
    assert CompiledScorer(Form((flat,), (1.0,), 0)).score(rows).tolist() == expected


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("link", list(Link))
def test_layers_are_multiplied_as_numpy_does(activation: Activation, link: Link) -> None:
    random = np.random.default_rng(2)
    sizes = [(6, 9), (9, 5), (5, 3)]
    layers = [Layer(random.normal(size=size), random.normal(size=size[1]), activation) for size in sizes]
    layers[-1] = replace(layers[-1], activation=Activation.IDENTITY)
    x = X
    for layer in layers:
        x = _ACTIVATIONS[layer.activation](x @ layer.weights + layer.bias)
    expected = _LINKS[link](x)
    scores = CompiledScorer(Form((Network(tuple(layers), link),), (1.0,), 3)).score(X)
    assert difference(expected, scores) <= 1e-12


def _softmax(x: Any) -> Any:
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


_ACTIVATIONS: dict[Activation, Any] = {
    Activation.IDENTITY: lambda x: x,
    Activation.RELU: lambda x: np.maximum(x, 0),
    Activation.TANH: np.tanh,
    Activation.LOGISTIC: plain.expit,
}
_LINKS: dict[Link, Any] = {Link.IDENTITY: lambda x: x, Link.LOGISTIC: plain.expit, Link.SOFTMAX: _softmax}


def test_a_blend_is_the_weighted_sum_of_its_parts() -> None:
    names, weights = ("logistic", "random_forest", "xgboost"), (0.2, 0.3, 0.5)
    blend = BlendScorer(weights, tuple(library(name, Task.BINARY) for name in names))
    compiled = CompiledScorer(flat(blend, 2))
    assert difference(blend.score(X), compiled.score(X)) <= 1e-12
    assert [compiled.one(row.tobytes())[0] for row in X] == compiled.score(X)[:, 1].tolist()


CURVES = (
    Calibration(Method.PLATT, (Platt(1.7, -0.3),)),
    Calibration(Method.ISOTONIC, (Isotonic((0.1, 0.4, 0.5, 0.9), (0.05, 0.2, 0.7, 0.8)),)),
    Calibration(Method.ISOTONIC, (Isotonic((0.4,), (0.3,)),)),
)


@pytest.mark.parametrize("calibration", CURVES)
def test_calibrated_scores_are_those_of_the_calibration_itself(calibration: Calibration) -> None:
    scores = np.concatenate((np.linspace(0, 1, 201), [0.1, 0.4, 0.5, 0.9, np.nextafter(0.4, 0), np.nextafter(0.4, 1)]))
    matrix = np.column_stack((1 - scores, scores))
    expected = plain.calibrator(calibration)(matrix)
    assert difference(expected, calibrator(calibration, 2)(matrix)) <= 1e-12
    compiled = CompiledScorer(form("xgboost", Task.BINARY), calibration)
    raw = library("xgboost", Task.BINARY).score(X)
    assert difference(plain.calibrator(calibration)(raw), compiled.score(X)) <= 1e-12
    assert [compiled.one(row.tobytes())[0] for row in X] == compiled.score(X)[:, 1].tolist()


def test_several_classes_are_calibrated_each_and_divided_by_their_sum() -> None:
    calibration = Calibration(Method.ISOTONIC, (*CURVES[1].curves, Platt(1.2, 0.1), *CURVES[1].curves))
    raw = library("random_forest", Task.MULTICLASS).score(X)
    compiled = CompiledScorer(form("random_forest", Task.MULTICLASS), calibration)
    assert difference(plain.calibrator(calibration)(raw), compiled.score(X)) <= 1e-12
