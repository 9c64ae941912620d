"""Contributions of features: equal to the definition, to the shap library, and always adding up."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compiled_models import FAMILIES, TREES, X, classes, form, library

from everfit.compiled.scorer import CompiledScorer
from everfit.explaining import background
from everfit.explaining.background import Marginal
from everfit.explaining.form import Parts
from everfit.explaining.links import linked, slopes
from everfit.explaining.paths import Paths
from everfit.explaining.sampled import sampled
from everfit.records.compiled import Form, Link, Trees
from everfit.records.explanation import Method, Unit
from everfit.records.features import CategoricalEncoding, Encoder, NumericEncoding
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind, Task
from everfit.training.flatten.form import flat
from everfit.training.flatten.nodes import Tree, assembled
from everfit.training.scorers import BlendScorer
from everfit.training.scorers import library as original

EXACT = [name for name in FAMILIES if name != "neural_network"]


def mean(terms: Any) -> Any:
    return terms(X).mean(axis=0)


def score(form: Form, row: Any, output: int) -> float:
    found = CompiledScorer(form).score(row[None, :])
    return float(found[0] if found.ndim == 1 else found[0, output if form.classes > 2 else 1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", TREES)
def test_trees_are_taken_apart_as_the_shap_library_does(family: str, task: Task) -> None:
    import shap

    if (family, task) == ("gradient_boosting", Task.MULTICLASS):
        return  # the library cannot
    explainer = shap.TreeExplainer(original(library(family, task)))
    expected = np.asarray(explainer.shap_values(X[:30], check_additivity=False)).reshape(30, X.shape[1], -1)
    bases = np.ravel(explainer.expected_value)
    parts = Parts(form(family, task), mean)
    for output in range(3 if task is Task.MULTICLASS else 1):
        place = output if task is Task.MULTICLASS else -1
        found = [parts.apart(row, output) for row in X[:30]]
        assert np.abs(np.array([one.amounts for one in found]) - expected[:, :, place]).max() < 1e-6
        assert found[0].base == pytest.approx(bases[place], abs=1e-6)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", EXACT)
def test_base_and_contributions_add_up_to_the_models_own_margin(family: str, task: Task) -> None:
    made = form(family, task)
    parts, link = Parts(made, mean), made.parts[0].link
    outputs = range(made.parts[0].outputs)
    for row in X[:20]:
        apart = [parts.apart(row, output) for output in outputs]
        margins = np.array([one.base + one.amounts.sum() for one in apart])
        for output in outputs:
            assert linked(link, margins)[output] == pytest.approx(score(made, row, output), abs=1e-6)


def test_the_unit_says_what_adds_up() -> None:
    found = {
        (name, task): Parts(form(name, task), mean).apart(X[0], 0)
        for name in ("lightgbm", "random_forest", "logistic")
        for task in Task
    }
    assert found["lightgbm", Task.BINARY].unit is Unit.LOG_ODDS
    assert found["lightgbm", Task.MULTICLASS].unit is Unit.MARGIN
    assert found["random_forest", Task.BINARY].unit is Unit.PROBABILITY
    assert found["random_forest", Task.REGRESSION].unit is Unit.VALUE
    assert {one.method for (name, _), one in found.items() if name == "logistic"} == {Method.TERMS}


@st.composite
def trees(draw: st.DrawFn) -> Trees:
    """A few random trees over four columns, with covers, some of them zero."""

    def tree() -> Tree:
        nodes: list[list[Any]] = []

        def grow(depth: int, cover: float) -> int:
            at = len(nodes)
            nodes.append([])
            if depth == 0 or draw(st.integers(0, 3)) == 0:
                nodes[at] = [0, 0.0, -1, -1, False, draw(st.floats(-3, 3)), cover]
            else:
                share = draw(st.sampled_from([0.0, 0.25, 0.6, 1.0]))
                asked, threshold = draw(st.integers(0, 3)), draw(st.floats(-2, 2))
                left, right = grow(depth - 1, cover * share), grow(depth - 1, cover * (1 - share))
                nodes[at] = [asked, threshold, left, right, False, 0.0, cover]
            return at

        grow(4, 64.0)
        columns = [np.array(column) for column in zip(*nodes, strict=True)]
        asked, threshold, left, right, missing, value, cover = columns
        return Tree(asked, threshold, left, right, missing, value.astype(float)[:, None], cover)

    return assembled([tree() for _ in range(draw(st.integers(1, 3)))], np.array([0.5]), 4)


def expected(made: Trees, root: int, row: Any, known: frozenset[int]) -> float:
    """What a tree says when only some columns are known: elsewhere by the share of rows that went each way."""
    node = made.nodes[root]
    left = int(node["left"])
    if left == root:
        return float(made.values[root, 0])
    ways = [expected(made, child, row, known) for child in (left, left + 1)]
    if int(node["feature"]) in known:
        return ways[0 if row[node["feature"]] <= node["threshold"] else 1]
    cover = made.cover[[left, left + 1]]
    share = cover / cover.sum() if made.cover[root] > 0 else np.array([0.5, 0.5])
    return float(share @ ways)


def by_definition(made: Trees, row: Any) -> list[float]:
    """Shapley's formula over all subsets."""

    def value(known: frozenset[int]) -> float:
        return sum(expected(made, root, row, known) for root in made.roots.tolist())

    found = []
    for column in range(4):
        others = [other for other in range(4) if other != column]
        subsets = [frozenset(some) for size in range(4) for some in combinations(others, size)]
        found.append(
            sum(factorial(len(s)) * factorial(3 - len(s)) / 24 * (value(s | {column}) - value(s)) for s in subsets)
        )
    return found


@settings(deadline=None, max_examples=60)
@given(trees(), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_random_trees_are_taken_apart_as_the_definition_says(made: Trees, values: list[float]) -> None:
    paths, row = Paths(made, 0), np.array(values)
    assert paths.contributions(row).tolist() == pytest.approx(by_definition(made, row), abs=1e-9)
    assert paths.base == pytest.approx(
        0.5 + sum(expected(made, root, row, frozenset()) for root in made.roots.tolist()), abs=1e-9
    )


@pytest.mark.parametrize("task", list(Task))
def test_a_blend_adds_up_to_its_own_score(task: Task) -> None:
    members = tuple(library(name, task) for name in ("xgboost", "random_forest", "logistic"))
    made = flat(BlendScorer((0.5, 0.3, 0.2), members), classes(task))
    parts = Parts(made, mean)
    for row in X[:10]:
        for output in range(made.parts[0].outputs):
            found = parts.apart(row, output)
            assert found.method is Method.BLEND
            assert found.base + found.amounts.sum() == pytest.approx(score(made, row, output), abs=1e-6)


def test_a_blend_of_values_is_the_weighted_sum_of_its_members() -> None:
    names, weights = ("xgboost", "random_forest"), (0.25, 0.75)
    blend = Parts(flat(BlendScorer(weights, tuple(library(name, Task.REGRESSION) for name in names)), 0), mean)
    alone = [Parts(form(name, Task.REGRESSION), mean).apart(X[3], 0).amounts for name in names]
    assert blend.apart(X[3], 0).amounts == pytest.approx(0.25 * alone[0] + 0.75 * alone[1])


@pytest.mark.parametrize("odd", ["hidden layers", "no covers"])
def test_what_is_not_exact_is_refused(odd: str) -> None:
    made = form("neural_network", Task.BINARY) if odd == "hidden layers" else without_covers()
    with pytest.raises(ValueError, match="not taken apart exactly"):
        Parts(made, mean)


def without_covers() -> Form:
    leaf = Tree(np.zeros(1), np.zeros(1), np.array([-1]), np.array([-1]), np.zeros(1, bool), np.ones((1, 1)))
    return Form((assembled([leaf], np.zeros(1), 2),), (1.0,), 0)


@pytest.mark.parametrize("far", [0.0, 1e-9, 3.0, 700.0])
def test_mean_slopes_carry_the_whole_move_of_a_score(far: float) -> None:
    base, margins = np.array([0.3, -1.0, 0.0]), np.array([0.3 + far, -1.0 - far, 0.1])
    for output in range(3):
        moved = slopes(Link.SOFTMAX, base, margins, output) @ (margins - base)
        scores = linked(Link.SOFTMAX, np.array([base, margins]))[:, output]
        assert moved == pytest.approx(scores[1] - scores[0], abs=1e-9)


def test_drawn_contributions_of_a_sum_are_its_terms() -> None:
    draws = {"a": Marginal(np.array([0.0, 2.0]), np.array([0.5, 0.5])), "b": Marginal(np.array([1.0]), np.ones(1))}
    found = sampled(
        lambda rows: 3 * rows["a"] + 5 * rows["b"],
        {"a": np.array([4.0]), "b": np.array([2.0])},
        lambda rows, random: background.drawn(draws, rows, random),
        ("a", "b"),
        pairs=400,
    )
    assert found.output == 22.0
    assert found.base + found.amounts.sum() == pytest.approx(22.0, abs=1e-12)
    assert found.amounts[1] == pytest.approx(5.0)
    assert abs(found.amounts[0] - 9.0) < 5 * found.errors[0]
    assert found.errors[1] == pytest.approx(0.0, abs=1e-12)


def test_drawn_contributions_share_what_features_do_together() -> None:
    draws = {name: Marginal(np.array([0.0]), np.ones(1)) for name in "ab"}
    row = {"a": np.array([1.0]), "b": np.array([1.0])}
    found = sampled(lambda rows: rows["a"] * rows["b"], row, lambda n, r: background.drawn(draws, n, r), ("a", "b"))
    assert found.amounts.tolist() == [0.5, 0.5]


def test_the_background_is_the_profiles() -> None:
    encoder = Encoder(
        (
            NumericEncoding("x", Kind.NUMERIC, 0.0, 0.0, 1.0, True),
            NumericEncoding("new", Kind.NUMERIC, 0.0, 0.0, 1.0, False),
        ),
        (CategoricalEncoding("plan", ("basic", "full")),),
    )
    columns = (
        ColumnProfile("x", Kind.NUMERIC, 4, 2, sample=(1.0, 3.0)),
        ColumnProfile("plan", Kind.CATEGORICAL, 4, 1, counts={"basic": 2, "full": 1}),
    )
    found = background.marginals(Profile(columns, columns[0], "rmse", 0.0, 0), encoder)
    assert found["x"].shares.tolist() == [0.25, 0.25, 0.5]
    assert found["plan"].values.tolist() == ["basic", "full", None]
    assert found["plan"].shares.tolist() == [0.5, 0.25, 0.25]
    assert np.isnan(found["new"].values).all()
    means = background.means(found, lambda rows: np.nan_to_num(np.column_stack([rows["x"], rows["new"]])), ("x", "new"))
    assert means.tolist() == [1.0, 0.0]
