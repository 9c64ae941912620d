"""Group commit: one write of the prediction log for all requests that are ready at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from everfit.ports import PredictionLog
from everfit.records.prediction import Logged

# Told that the records are written, or why they are not; what was given with it follows.
Done = Callable[..., None]
# What is to be written, or what makes it when its group is: that never raises.
Records = Sequence[Logged] | Callable[[], Sequence[Logged]]
_Group = list[tuple[Records, Done, tuple[Any, ...]]]


class GroupCommit:
    """Appends to a log for the requests of one event loop. What is handed in during one turn of the loop is one
    append, after that turn; while an append waits for the disk, the next group gathers.

    `waits` says that an append may take long (`fsync: always`), so that it happens in a thread.
    """

    def __init__(self, log: PredictionLog, *, waits: bool = False) -> None:
        self._log = log
        self._waits = waits
        self._group: _Group = []
        self._is_due = False

    @property
    def waiting(self) -> int:
        """How many requests wait for their records to be written."""
        return len(self._group)

    async def append(self, records: Sequence[Logged]) -> None:
        """Returns when the records are written. Raises what the log raises, to every request of the group."""
        loop = asyncio.get_running_loop()
        # A future for each request: a caller that hangs up cancels its own alone.
        written = loop.create_future()

        def resolve(error: Exception | None) -> None:
            if written.cancelled():
                return
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(error)

        self.add(loop, records, resolve)
        await written

    def add(self, loop: asyncio.AbstractEventLoop, records: Records, done: Done, *given: Any) -> None:
        """The same without waiting: `done(error, *given)` is called in the loop."""
        self._group.append((records, done, given))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._group = self._group, []
        made = [one for records, _, _ in group for one in (records() if callable(records) else records)]
        if not self._waits:
            self._finish(loop, group, self._write(made))
        else:
            work = loop.run_in_executor(None, self._write, made)
            work.add_done_callback(lambda written: self._finish(loop, group, written.result()))

    def _write(self, records: Sequence[Logged]) -> Exception | None:
        try:
            self._log.append(records)
        except Exception as error:  # noqa: BLE001  it belongs to the requests, not to the loop
            return error
        return None

    def _finish(self, loop: asyncio.AbstractEventLoop, group: _Group, error: Exception | None) -> None:
        self._is_due = bool(self._group)
        if self._group:
            loop.call_soon(self._start, loop)
        for _, done, given in group:
            done(error, *given)
