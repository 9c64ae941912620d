"""Who follows the state on this machine hears of an append at once: a byte in a named pipe for each that listens.

A pipe costs nothing while nobody rings, a file system knows who may, and a byte that is written before anybody waits is
not lost. It is a hint and no message: whoever hears it reads the state, and reads it now and then anyway, since other
machines do not ring here.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from everfit.ports import StateStore

_ENDING = ".pipe"


@dataclass(frozen=True)
class Bell:
    """The pipes in a folder of this machine."""

    folder: Path

    def ring(self) -> None:
        """Wakes everybody who listens; never waits and never raises. Pipes that nobody reads any more are removed."""
        for pipe in self.folder.glob(f"*{_ENDING}"):
            try:
                end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it: its listener was killed
                with suppress(OSError):
                    pipe.unlink()
                continue
            with suppress(OSError):  # a full pipe wakes as well
                os.write(end, b"!")
            os.close(end)

    def listen(self) -> Ear:
        """One that hears from now on."""
        return Ear(self.folder / f"{uuid4().hex}{_ENDING}")


class Ear:
    """Waits for a bell. Where the file system has no pipes it hears nothing, and only waits.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ear = Bell(Path(folder)).listen()
    ...     Bell(Path(folder)).ring()
    ...     heard = ear.wait(60), ear.wait(0)
    ...     ear.close()
    >>> heard
    (True, False)
    """

    def __init__(self, pipe: Path) -> None:
        self._pipe = pipe
        self._ends: tuple[int, int] | None = None
        self._deaf = threading.Event()
        with suppress(OSError, AttributeError):
            self._ends = _opened(pipe)

    def wait(self, seconds: float) -> bool:
        """Until the bell rings, `wake`, or so many seconds; whether it was before they were over."""
        if self._ends is None:
            return self._deaf.wait(seconds)
        heard, _, _ = select.select([self._ends[0]], [], [], seconds)
        if heard:
            with suppress(BlockingIOError):
                os.read(self._ends[0], 4096)  # however often it rang, one look sees it all
        return bool(heard)

    def wake(self) -> None:
        """Ends the wait of whoever waits, without a bell."""
        self._deaf.set()
        if self._ends is not None:
            with suppress(OSError):
                os.write(self._ends[1], b"!")

    def close(self) -> None:
        """Hears nothing any more; to be called when nobody waits."""
        ends, self._ends = self._ends, None
        with suppress(OSError):
            self._pipe.unlink()
        for end in ends or ():
            os.close(end)


def _opened(pipe: Path) -> tuple[int, int]:
    """The two ends of a new pipe, which has its name only once it is read: until then it looks like a dead one."""
    pipe.parent.mkdir(parents=True, exist_ok=True)
    unnamed = pipe.with_suffix(".new")
    os.mkfifo(unnamed, 0o600)
    try:
        reading = os.open(unnamed, os.O_RDONLY | os.O_NONBLOCK)
        # With an end of its own it never reads as closed, which would be heard all the time.
        writing = os.open(unnamed, os.O_WRONLY | os.O_NONBLOCK)
        unnamed.rename(pipe)
    except OSError:
        with suppress(OSError):
            unnamed.unlink()
        raise
    return reading, writing


@dataclass(frozen=True)
class Announced:
    """A state store that calls `ring` after each append to one of the streams."""

    store: StateStore
    ring: Callable[[], None]
    streams: frozenset[str]

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        """As the store does."""
        number = self.store.append(stream, document, expect)
        if stream in self.streams:
            self.ring()
        return number

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        """As the store does."""
        return self.store.read(stream, after)

    def last(self, stream: str) -> tuple[int, bytes] | None:
        """As the store does."""
        return self.store.last(stream)
