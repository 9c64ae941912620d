"""The memory of the compiler's own code, which a server needs only while it makes a kernel."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_DONTNEED = 4
_COMPILER = "libllvmlite"


def release() -> None:
    """Gives back the pages of the compiler's code, tens of megabytes. They are as they are in its file, and come back
    from there when the next kernel is made. Does nothing on other systems than Linux."""
    if not sys.platform.startswith("linux"):
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _code():
        advise(start, end - start, _DONTNEED)


def _code() -> Iterator[tuple[int, int]]:
    """Where it is mapped: code alone, which nothing has changed since it was read."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        span, rights, *_, path = line.split()
        if rights == "r-xp" and _COMPILER in path:
            start, _, end = span.partition("-")
            yield int(start, 16), int(end, 16)
