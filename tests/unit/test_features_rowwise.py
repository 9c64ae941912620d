from __future__ import annotations

import numpy as np
import pytest

from everfit.errors import ProjectError
from everfit.features.compute import compute
from everfit.features.functions import load
from everfit.features.rowwise import check

COLUMNS = {"x": np.array([1.0, np.nan, 4.0, 9.0]), "c": np.array(["a", None, "b", "a"], dtype=object)}


def test_functions_of_single_rows_pass() -> None:
    functions = load("import numpy as np\ndef root(x):\n    return np.sqrt(x)\ndef same(c):\n    return c")
    check(functions, COLUMNS, compute(functions, COLUMNS, ["root", "same", "x"]))


@pytest.mark.parametrize(
    "body", ["x - np.nanmean(x)", "np.argsort(x)", "np.roll(x, 1)", "np.where(len(x) > 1, 'a', 'b')"]
)
def test_a_function_that_looks_at_other_rows_is_named(body: str) -> None:
    functions = load(f"import numpy as np\ndef leaks(x):\n    return {body}")
    columns = {"x": np.array([1.0, 5.0, 4.0, 9.0])}
    with pytest.raises(ProjectError, match="leaks") as caught:
        check(functions, columns, compute(functions, columns, ["leaks"]))
    assert caught.value.where == "features.py:2"
