from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.compiled_models import FAMILIES, X, form

from everfit.compiled.file import read, write
from everfit.compiled.scorer import CompiledScorer
from everfit.errors import StorageError
from everfit.records.compiled import Curves, Form, Network, Trees
from everfit.records.table import Task


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_written_scores_as_before_and_is_written_to_the_same_bytes(family: str, tmp_path: Path) -> None:
    found = form(family, Task.MULTICLASS)
    write(found, tmp_path / "a.npz")
    again = read(tmp_path / "a.npz")
    write(again, tmp_path / "b.npz")
    assert CompiledScorer(again).score(X).tobytes() == CompiledScorer(found).score(X).tobytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_torn_file_is_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write(form("xgboost", Task.BINARY), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StorageError, match="not a compiled model"):
        read(path)


def changed(name: str, change: Callable[[Any], Any]) -> Form:
    """A forest with one of its arrays changed."""
    found = form("random_forest", Task.BINARY)
    part = found.parts[0]
    assert isinstance(part, Trees)
    return replace(found, parts=(replace(part, **{name: change(getattr(part, name).copy())}),))


def at(place: Any, value: Any) -> Callable[[Any], Any]:
    """Sets one number of an array."""

    def change(array: Any) -> Any:
        if isinstance(place, str):
            array[place][0] = value
        else:
            array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nodes", at("left", 2**31)),
        ("nodes", at("feature", 600)),
        ("roots", at(0, -1)),
        ("roots", at(0, 10**9)),
        ("depths", at(0, 10**9)),
        ("target", at(0, 7)),
        ("values", lambda values: values[:-1]),
        ("values", lambda values: values.astype(np.float32)),
        ("base", lambda base: np.zeros(3)),
    ],
)
def test_arrays_that_point_out_of_themselves_are_refused(name: str, change: Any, tmp_path: Path) -> None:
    write(changed(name, change), tmp_path / "a.npz")
    with pytest.raises(StorageError, match="not a compiled model"):
        read(tmp_path / "a.npz")


def test_layers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    found = form("logistic", Task.BINARY)
    part = found.parts[0]
    assert isinstance(part, Network)
    layer = replace(part.layers[0], bias=np.zeros(2))
    write(replace(found, parts=(replace(part, layers=(layer,)),)), tmp_path / "a.npz")
    with pytest.raises(StorageError, match="layers do not fit"):
        read(tmp_path / "a.npz")


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", head=np.array([{}], dtype=object))
    with pytest.raises(StorageError, match="not a compiled model"):
        read(tmp_path / "a.npz")


def test_curves_that_point_out_of_their_knots_are_refused(tmp_path: Path) -> None:
    found = form("spline_logistic", Task.BINARY)
    part = found.parts[0]
    assert isinstance(part, Curves)
    for changes in ({"bounds": part.bounds + 1}, {"columns": part.columns + 99}, {"pieces": part.pieces[1:]}):
        write(replace(found, parts=(replace(part, **changes),)), tmp_path / "a.npz")
        with pytest.raises(StorageError, match="not a compiled model"):
            read(tmp_path / "a.npz")
