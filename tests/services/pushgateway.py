"""Prometheus' Pushgateway of one's own: a free port on the loopback, gone with the block."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.ready import ready

_PROGRAMS = ("prometheus-pushgateway", "pushgateway")


def absent() -> str:
    """Why none can be started here; empty when one can."""
    found = any(shutil.which(name) for name in _PROGRAMS)
    return "" if found else "Pushgateway is not installed: Debian's package prometheus-pushgateway has it"


@contextmanager
def pushgateway() -> Iterator[str]:
    """The address of a server that is ready."""
    program = next(found for name in _PROGRAMS if (found := shutil.which(name)))
    with ready("Pushgateway", lambda address: [program, f"--web.listen-address={address}"]) as url:
        yield url
