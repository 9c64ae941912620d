"""Prometheus' Alertmanager of one's own: an empty folder, free ports on the loopback, gone with the block."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services.ready import ready

_PROGRAMS = ("prometheus-alertmanager", "alertmanager")
_CONFIG = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"


def absent() -> str:
    """Why none can be started here; empty when one can."""
    found = any(shutil.which(name) for name in _PROGRAMS)
    return "" if found else "Alertmanager is not installed: Debian's package prometheus-alertmanager has it"


class Alertmanager:
    """A server that takes alerts."""

    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active, as its API shows them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextmanager
def alertmanager() -> Iterator[Alertmanager]:
    """A server that is ready."""
    program = next(found for name in _PROGRAMS if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory(prefix="everfit-alertmanager-") as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(_CONFIG)
        files = [f"--config.file={config}", f"--storage.path={folder}/data", "--cluster.listen-address="]
        with ready("Alertmanager", lambda address: [program, *files, f"--web.listen-address={address}"]) as url:
            yield Alertmanager(url)
