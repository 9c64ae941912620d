"""Whether the process that began something still runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

_CLOCK = 0.1  # seconds by which two readings of the clocks may differ


def alive(pid: int, since: float) -> bool:
    """Whether the process that had this id at the time `since`, in seconds since 1970, is there still.

    A later process under the same number, as containers have after every start, is told by when it began; where the
    system does not say, the number alone decides.

    >>> alive(os.getpid(), time.time()), alive(os.getpid(), 0)
    (True, False)
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # there, and another user's
        pass
    begun = _begun(pid)
    return begun is None or begun <= since + _CLOCK


def _begun(pid: int) -> float | None:
    """When the process began, by Linux' /proc: the 22nd value, in ticks since the machine did."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(ticks) / os.sysconf("SC_CLK_TCK")
