"""Prometheus of one's own: a free port on the loopback, its data in a folder, gone with the block."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.ready import ready

_DEADLINE = 60.0


def absent() -> str:
    """Why none can be started here; empty when one can."""
    found = shutil.which("prometheus") and shutil.which("promtool")
    return "" if found else "Prometheus is not installed: Debian's package prometheus has it"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What `promtool ARGUMENTS` says."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=_DEADLINE, check=False)


@dataclass(frozen=True)
class Prometheus:
    """A server that is ready."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def series(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found


@contextmanager
def prometheus(config: Path, data: Path) -> Iterator[Prometheus]:
    """A server with that configuration."""
    files = [f"--config.file={config}", f"--storage.tsdb.path={data}"]
    with ready("Prometheus", lambda address: ["prometheus", *files, f"--web.listen-address={address}"]) as url:
        yield Prometheus(url)
