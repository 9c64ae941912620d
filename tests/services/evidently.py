"""Evidently in an environment of its own, made once beside this one by the same code that makes it for people."""

from __future__ import annotations

import fcntl
import sys
from functools import cache
from pathlib import Path

from everfit.adapters.reports.evidently import VERSION, installed
from everfit.errors import MissingExtra

HOME = Path(sys.prefix) / "clients" / f"evidently-{VERSION}"


@cache
def absent() -> str:
    """Why Evidently cannot be had here; empty when it can, and then it stands ready."""
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            installed(HOME)
        except MissingExtra as error:
            return error.what
    return ""


def python() -> Path:
    """The interpreter that can import `evidently`."""
    return HOME / "bin" / "python"
