"""What the compiler's own code takes is given back, and kernels are made and run after it as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from everfit.compiled import compiler_memory
from everfit.compiled.native import DOUBLE, LONG, POINTER, compiled, function, get, loop, put


def resident() -> int:
    """Kilobytes of the compiler's code that are in memory."""
    found, is_code = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_code = "libllvmlite" in line and " r-xp " in line
        elif is_code and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


def doubled(values: list[float]) -> list[float]:
    made, build = function("doubled", [POINTER["double"], LONG])
    rows, count = made.args
    with loop(build, count) as i:
        put(build, build.fmul(get(build, rows, i), DOUBLE(2.0)), rows, i)
    array = np.array(values)
    native = compiled(made, build, "pn")
    native.free(array.ctypes.data, len(array))
    return [float(value) for value in array]


def test_the_compiler_s_code_leaves_memory_and_comes_back_when_it_is_needed() -> None:
    assert doubled([1.0, 2.5]) == [2.0, 5.0]
    before = resident()
    compiler_memory.release()
    assert resident() < before / 2
    assert doubled([3.0]) == [6.0]
