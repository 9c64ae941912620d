from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.compiled_models import FAMILIES, X, classes, form, library

from everfit.compiled.exactness import compare
from everfit.evaluation.calibration import calibrator
from everfit.features.encoder import fit, transform
from everfit.records.calibration import Calibration, Method, Platt
from everfit.records.compiled import Curves, Form, Network, Part, Trees
from everfit.records.exactness import Exactness
from everfit.records.features import Encoder
from everfit.records.table import Kind, Task

FEATURES = {f"x{i}": X[:, i] for i in range(X.shape[1])}
# Values as they are, so that the models fitted on X read what they know.
ENCODER = fit(FEATURES, dict.fromkeys(FEATURES, Kind.NUMERIC), tuple(FEATURES))
PLAIN = Encoder(tuple(replace(e, mean=0.0, scale=1.0) for e in ENCODER.numeric), ())


def compared(found: Form, family: str, task: Task, encoder: Encoder = PLAIN, **given: Any) -> Exactness:
    score = library(family, task).score
    return compare(found, encoder, FEATURES, lambda f: transform(PLAIN, f), score, rows=3000, **given)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_s_compiled_form_is_exact(family: str, task: Task) -> None:
    found = compared(form(family, task), family, task)
    assert (found.holds, found.reason) == (True, "")
    assert found.rows >= 3000
    assert found.thresholds == 3 * sum(map(edges, form(family, task).parts))


def edges(part: Part) -> int:
    """Splits of trees, knots of curves."""
    if isinstance(part, Trees):
        return int((part.nodes["threshold"] < np.inf).sum())
    return len(part.knots) if isinstance(part, Curves) else 0


def broken(part: Part, change: str) -> Part:
    """The part with one number another one."""
    if isinstance(part, Network):
        layer = part.layers[0]
        weights = layer.weights.copy()
        weights[0] += 1e-9
        return replace(part, layers=(replace(layer, weights=weights),))
    if isinstance(part, Curves):
        name = {"threshold": "knots", "column": "weights", "value": "pieces"}[change]
        return replace(part, **{name: getattr(part, name) + 1e-9})
    nodes, values = part.nodes.copy(), part.values.copy()
    # The first tree that asks anything, and the node that its first question leads the first row to.
    root = int(np.flatnonzero(nodes["threshold"] < np.inf)[0])
    if change == "threshold":
        nodes["threshold"][root] = np.nextafter(np.float32(nodes["threshold"][root]), np.float32(-np.inf))
    elif change == "column":
        nodes["feature"][root] = (nodes["feature"][root] + 1) % part.width
    else:
        while nodes["threshold"][root] < np.inf:
            root = nodes["left"][root] + int(X[0, nodes["feature"][root]] > nodes["threshold"][root])
        values[root] += 1e-6
    return replace(part, nodes=nodes, values=values)


@pytest.mark.parametrize("change", ["threshold", "column", "value"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_form_with_one_wrong_number_is_refused(family: str, change: str) -> None:
    found = form(family, Task.BINARY)
    wrong = replace(found, parts=(broken(found.parts[0], change),))
    refused = compared(wrong, family, Task.BINARY)
    assert not refused.holds
    assert refused.reason.startswith("scores differ by")


def test_an_encoder_that_fills_otherwise_is_refused() -> None:
    other = replace(PLAIN, numeric=(replace(PLAIN.numeric[0], fill=9.0), *PLAIN.numeric[1:]))
    refused = compared(form("logistic", Task.BINARY), "logistic", Task.BINARY, encoder=other)
    assert not refused.holds
    assert "encoder" in refused.reason


def test_a_calibration_that_differs_is_refused() -> None:
    one, other = (Calibration(Method.PLATT, (Platt(slope, 0.0),)) for slope in (1.5, 1.5 + 1e-9))
    found = form("logistic", Task.BINARY)
    task = Task.BINARY
    assert compared(found, "logistic", task, calibration=one, calibrate=calibrator(one)).holds
    refused = compared(found, "logistic", task, calibration=one, calibrate=calibrator(other))
    assert "calibrated" in refused.reason


def test_scores_of_another_shape_are_refused() -> None:
    found = replace(form("logistic", Task.BINARY), classes=classes(Task.REGRESSION))
    assert not compared(found, "logistic", Task.BINARY).holds
