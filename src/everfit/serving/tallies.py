"""Counts that several worker processes keep and any of them can add up: floats in a file that all of them map.

Each worker has a file of its own, so nobody waits for anybody, and what a killed worker had counted stays counted.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

from everfit import atomic

_SLOTS, _WIDTH = 256, 24
_BYTES = _SLOTS * _WIDTH * 8
Key = tuple[str, ...]


class Tallies:
    """Numbers by key, each key with at most 24 of them. Without a folder they are this process's alone.

    >>> tallies = Tallies()
    >>> tallies.add(("predictions", "ok"), [2.0])
    >>> tallies.add(("predictions", "ok"), [1.0])
    >>> [(key, values[0]) for key, values in tallies.all()]
    [(('predictions', 'ok'), 3.0)]
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._places: dict[Key, int] = {}
        self._path = folder / f"{os.getpid()}.tallies" if folder is not None else None
        self._numbers = memoryview(bytearray(_BYTES) if self._path is None else _mapped(self._path)).cast("d")

    def add(self, key: Key, values: Sequence[float]) -> None:
        """Adds to the key's numbers, one by one. Beyond 256 keys nothing is counted: labels are bounded."""
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._place(key)
            for i, value in enumerate(values, start=place):
                self._numbers[i] += value

    def observe(self, key: Key, bucket: int, seconds: float, rows: int, times: int = 1) -> None:
        """Adds to a key that holds rows, seconds and the counts of a histogram's buckets, in this order: so many
        times the same seconds."""
        with self._lock:
            place = self._places.get(key)
            if place is None:
                place = self._place(key)
            numbers = self._numbers
            numbers[place] += rows
            numbers[place + 1] += seconds * times
            numbers[place + 2 + bucket] += times

    def all(self) -> Iterator[tuple[Key, list[float]]]:
        """Every key's numbers, summed over the workers."""
        found: dict[Key, list[float]] = {}
        for places, numbers in self._everybody():
            for key, place in places.items():
                own = numbers[place : place + _WIDTH].tolist()
                found[key] = [a + b for a, b in zip(found.get(key, [0.0] * _WIDTH), own, strict=True)]
        yield from sorted(found.items())

    def _place(self, key: Key) -> int:
        place = min(len(self._places), _SLOTS - 1) * _WIDTH
        if len(self._places) < _SLOTS:
            self._places[key] = place
            self._publish()
        return place

    def _publish(self) -> None:
        """Says which numbers are whose, before the first of them is counted."""
        if self._path is not None:
            places = json.dumps([[list(key), place] for key, place in self._places.items()])
            atomic.write(self._path.with_suffix(".keys"), places, what="the names of the counts")

    def _everybody(self) -> Iterator[tuple[dict[Key, int], memoryview[float]]]:
        yield self._places.copy(), self._numbers
        for path in sorted(self._folder.glob("*.keys")) if self._folder is not None else ():
            if self._path is None or path.stem != self._path.stem:
                places = {tuple(key): place for key, place in json.loads(path.read_text())}
                yield places, memoryview(path.with_suffix(".tallies").read_bytes()).cast("d")


def _mapped(path: Path) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+b") as file:
        file.truncate(_BYTES)
        return mmap.mmap(file.fileno(), _BYTES)
