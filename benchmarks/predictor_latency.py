"""One row and a hundred rows in process, from raw values to an answer: everfit's compiled models, scikit-learn's own
pipeline, ONNX Runtime.

    python -m benchmarks.predictor_latency [--quick]

Each built-in family is fitted with its first setting on generated customers. everfit is given the row as a dictionary
and gives the answer with its features; the pipeline (ColumnTransformer and the same estimator) is given a DataFrame
made of the row. ONNX Runtime gets the estimator alone and a row that is already encoded, which flatters it; `differs`
is the greatest change of a probability over the training rows. A family that the converters refuse says so. Each p50
is the median of the quietest of five rounds, for another process may take the core for longer than a round. The second
table is that of the gate: what every compiled form was compared on, and the greatest difference to its library. The
last line holds the slowest family's p50 for one row, in microseconds.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter_ns, sleep
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from benchmarks.report import Cell, report, table
from benchmarks.served_models import Customers
from everfit.serving.model import open_model
from everfit.training.built_in import FAMILIES
from everfit.training.scorers import package, scorer

GOAL_US = 15.0
ROUNDS, APART = 5, 0.05
BATCH = 100


@dataclass(frozen=True)
class Measured:
    """A family's figures, in microseconds."""

    family: str
    cells: list[Cell]
    exactness: list[Cell]
    one: float
    holds: bool


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and repetitions: within a minute")
    quick = parser.parse_args(arguments).quick
    warnings.simplefilter("ignore")  # of converters and of feature names
    drawn = Customers.drawn(2_000 if quick else 7_000)
    with tempfile.TemporaryDirectory(prefix="everfit-") as folder:
        found = [family(name, drawn, Path(folder) / name, quick=quick) for name in FAMILIES]
    heads = ["everfit 1", f"everfit {BATCH}", "sklearn 1", f"sklearn {BATCH}", "onnx 1", "differs", "ratio 1"]
    table(["p50, µs", *heads], [one.cells for one in found])
    print()
    table(["gate", "rows", "at or beside a split", "greatest difference", "holds"], [one.exactness for one in found])
    slowest = max(one.one for one in found)
    holds = slowest <= GOAL_US and all(one.holds for one in found)
    report("predictor_latency", round(slowest, 2), f"one row <= {GOAL_US:g} µs p50, every form exact", holds)


def family(name: str, drawn: Customers, folder: Path, *, quick: bool) -> Measured:
    """One family on all three."""
    estimator = drawn.estimator(name)
    exactness = drawn.bundle(name, folder, 10_000 if quick else 100_000, estimator).exactness
    if exactness is None:
        raise RuntimeError(f"{name} was not compared")
    model, row = open_model(folder), drawn.example
    rows = drawn.table.drop("churn").head(BATCH).to_dicts()
    times = 400 if quick else 4000
    one, many = p50(lambda: model.one(row), times), p50(lambda: model.answer(rows), times // 20)
    theirs = pipeline(name, drawn, 7 if quick else 100)
    onnx, differs = onnx_runtime(estimator, drawn, times)
    cells: list[Cell] = [name, one, many, *theirs, onnx, differs, f"{theirs[0] / one:,.0f}x"]
    gate: list[Cell] = [name, exactness.rows, exactness.thresholds, exactness.difference, exactness.holds]
    return Measured(name, cells, gate, one, exactness.holds and model.compiled is not None)


def pipeline(name: str, drawn: Customers, times: int) -> tuple[float, float]:
    """The DataFrame is a part of it: a request brings none. One thread, as in a server with a worker a core."""
    fitted, head = drawn.pipeline(name), drawn.table.head(BATCH)

    def predict(count: int) -> Callable[[], object]:
        return lambda: fitted.predict_proba(drawn.frame(head[:count]))

    with threadpool_limits(limits=1):
        return p50(predict(1), times), p50(predict(BATCH), times)


def onnx_runtime(estimator: Any, drawn: Customers, times: int) -> tuple[Cell, Cell]:
    """p50 for one encoded row, and how far probabilities move; or why there is none."""
    try:
        session = converted(estimator, drawn.matrix.shape[1])
        x = np.ascontiguousarray(drawn.matrix, dtype=np.float32)
        name = session.get_inputs()[0].name
        found = np.asarray(session.run(None, {name: x})[1], dtype=np.float64)
    except Exception as error:  # noqa: BLE001  converters refuse with whatever they like
        return f"refused: {type(error).__name__}", "-"
    row = x[:1]
    moved = float(np.abs(found - scorer(estimator).score(drawn.matrix)).max())
    return p50(lambda: session.run(None, {name: row}), times), moved


def converted(estimator: Any, width: int) -> Any:
    """An ONNX Runtime session of one thread."""
    import onnxruntime
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as BoosterTensor
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    match package(estimator):
        case "xgboost":
            model = convert_xgboost(estimator, initial_types=[("x", BoosterTensor([None, width]))])
        case "lightgbm":
            model = convert_lightgbm(estimator, initial_types=[("x", BoosterTensor([None, width]))], zipmap=False)
        case _:
            types = [("x", FloatTensorType([None, width]))]
            model = to_onnx(estimator, initial_types=types, options={id(estimator): {"zipmap": False}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def p50(call: Callable[[], object], times: int) -> float:
    """Microseconds in the quietest of some rounds apart, after some calls that are not counted."""
    for _ in range(min(times // 4, 20)):
        call()
    medians = []
    for _ in range(ROUNDS):
        sleep(APART)
        spent = []
        for _ in range(max(1, times // ROUNDS)):
            began = perf_counter_ns()
            call()
            spent.append(perf_counter_ns() - began)
        medians.append(median(spent))
    return min(medians) / 1e3


if __name__ == "__main__":
    main()
