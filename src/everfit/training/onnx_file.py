"""Estimators as ONNX models, by the extra `onnx`: float32 in, the estimator's own scores out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from everfit.errors import MissingExtra
from everfit.training.scorers import Matrix, Scorer, library, package, single

FILE = "model.onnx"
# The greatest difference to the bundle's scores, in probability; in regression it is relative.
TOLERANCE = 1e-5
_INPUT = "x"
# Fixed, for a converter names a graph by chance.
_GRAPH = "everfit"
_ERRORS_ONLY = 3


def convert(scorer: Scorer, width: int) -> bytes:
    """The ONNX model of an estimator that reads (rows, `width`) numbers: its input is `x`, float32, its last output the
    (rows, classes) probabilities or (rows, 1) values. The same estimator gives the same bytes.

    Raises MissingExtra without the packages, ValueError naming the reason where there is no converter.
    """
    try:
        import onnxmltools
        import onnxruntime  # noqa: F401  what is written must be compared as well
        import skl2onnx
    except ImportError as error:
        raise MissingExtra(
            f"an ONNX model needs the package {error.name}", where="training.export", fix='pip install "everfit[onnx]"'
        ) from error
    estimator, given = library(scorer), [None, width]
    if estimator is None or package(estimator) == "catboost":
        raise ValueError(f"{_named(scorer)} has no converter")
    booster = onnxmltools.convert.common.data_types.FloatTensorType(given)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters warn of their own future
            match package(estimator):
                case "xgboost":
                    model = onnxmltools.convert_xgboost(estimator, _GRAPH, [(_INPUT, booster)])
                case "lightgbm":
                    model = onnxmltools.convert_lightgbm(estimator, _GRAPH, [(_INPUT, booster)], zipmap=False)
                case _:
                    types = [(_INPUT, skl2onnx.common.data_types.FloatTensorType(given))]
                    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
                    model = skl2onnx.to_onnx(estimator, initial_types=types, options=options, name=_GRAPH)
    except Exception as error:  # converters refuse with whatever they like
        first = next(iter(str(error).splitlines()), "")
        raise ValueError(f"{_named(scorer)} could not be converted: {type(error).__name__}: {first[:200]}") from error
    return bytes(model.SerializeToString())


def score(model: bytes, matrix: Matrix) -> Matrix:
    """(rows, columns) -> what ONNX Runtime says by the model: (rows, classes) probabilities or (rows, 1) values.

    Raises ValueError where the runtime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {_INPUT: single(matrix)})[-1], dtype=np.float64)
    except Exception as error:  # the runtime's errors have no common base
        raise ValueError(f"ONNX Runtime refused it: {type(error).__name__}: {error}") from error


def difference(found: Matrix, expected: Matrix) -> float:
    """The greatest difference of scores; for (rows,) values it is relative to the value, or to the mean size of all
    values where that is more. NaN where either has one.

    >>> difference(np.array([[0.25], [4.0]]), np.array([0.5, 4.0]))
    0.1111111111111111
    """
    apart = np.abs(found.reshape(expected.shape) - expected)
    if expected.ndim == 1:
        size = np.abs(expected)
        apart = apart / np.maximum(np.maximum(size, size.mean()), np.finfo(np.float64).tiny)
    return float(apart.max(initial=0.0))


def _named(scorer: Scorer) -> str:
    estimator: Any = library(scorer) or scorer
    return f"{type(estimator).__module__.partition('.')[0]}'s {type(estimator).__name__}"
