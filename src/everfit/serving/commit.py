"""Group commit: one write of the prediction log for all requests that are ready at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from everfit.ports import PredictionLog
from everfit.records.prediction import PredictionRecord


class GroupCommit:
    """Appends to a log for the requests of one event loop. What is handed in during one turn of the loop is one
    append, after that turn; while an append waits for the disk, the next group gathers.

    `waits` says that an append may take long (`fsync: always`), so that it happens in a thread.
    """

    def __init__(self, log: PredictionLog, *, waits: bool = False) -> None:
        self._log = log
        self._waits = waits
        self._group: list[tuple[Sequence[PredictionRecord], asyncio.Future[None]]] = []
        self._is_due = False

    @property
    def waiting(self) -> int:
        """How many requests wait for their records to be written."""
        return len(self._group)

    async def append(self, records: Sequence[PredictionRecord]) -> None:
        """Returns when the records are written. Raises what the log raises, to every request of the group."""
        loop = asyncio.get_running_loop()
        # One future for each request: a caller that hangs up cancels its own alone.
        written = loop.create_future()
        self._group.append((records, written))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._start, loop)
        await written

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._group = self._group, []
        if not self._waits:
            self._finish(group, self._write(group))
        else:
            work = loop.run_in_executor(None, self._write, group)
            work.add_done_callback(lambda done: self._finish(group, done.result()))

    def _write(self, group: Sequence[tuple[Sequence[PredictionRecord], object]]) -> Exception | None:
        try:
            self._log.append([record for records, _ in group for record in records])
        except Exception as error:  # noqa: BLE001  it belongs to the requests, not to the loop
            return error
        return None

    def _finish(self, group: Sequence[tuple[object, asyncio.Future[None]]], error: Exception | None) -> None:
        for _, written in group:
            if written.cancelled():
                continue
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(error)
        self._is_due = bool(self._group)
        if self._group:
            asyncio.get_running_loop().call_soon(self._start, asyncio.get_running_loop())
