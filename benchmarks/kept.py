"""Parts of a long benchmark as they end, in a file that a stopped one goes on from; progress goes to standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Kept:
    """The parts of `count` in all, each a JSON value under its key, a line each; in memory alone without a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = Kept(Path(folder) / "parts", 2).part("a", lambda: [1, 2])
    ...     again = Kept(Path(folder) / "parts", 2).part("a", lambda: 1 / 0)
    >>> first, again
    ([1, 2], [1, 2])
    """

    def __init__(self, path: Path | None, count: int) -> None:
        self._path = path
        self._count = count
        self._done = 0
        self._parts: dict[str, Any] = {}
        for line in path.read_text().splitlines() if path and path.exists() else ():
            with suppress(ValueError):  # an empty line, or half of one from a kill
                key, value = json.loads(line)
                self._parts[key] = value

    def part(self, key: str, made: Callable[[], Any]) -> Any:
        """What is kept under the key, or else what `made` gives, which is kept from then on."""
        self._done += 1
        found, took = key in self._parts, 0.0
        if not found:
            began = time.monotonic()
            self._parts[key] = made()
            took = time.monotonic() - began
            self._write(key)
        how = "kept" if found else f"{took:.1f} s"
        print(f"{self._done} of {self._count}: {key}, {how}", file=sys.stderr, flush=True)
        return self._parts[key]

    def _write(self, key: str) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                # A line of its own, whatever a kill left of the one before.
                file.write(f"\n{json.dumps([key, self._parts[key]])}\n")
