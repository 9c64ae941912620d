"""The embedded runner: walks a graph in threads, takes verified results from the cache, resumes where it was stopped.

A step's output becomes visible only when all of it is stored, so that a killed run leaves finished steps and nothing
else; the next run takes those from the cache and goes on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from socket import gethostname
from typing import Any

from pydantic import TypeAdapter

from everfit.errors import EverfitError, StepFailed, StorageError
from everfit.flow import artifact, cache, processes
from everfit.flow.code import CodeIdentity
from everfit.flow.graph import FOLDER, Graph, Step
from everfit.flow.identities import Identities
from everfit.flow.verified import Verified
from everfit.ports import ArtifactStore, Progress, StateStore
from everfit.records.codec import decode, encode
from everfit.records.run import RunRecord, Status, StepRecord

RUNS = "runs"
_ELSEWHERE = timedelta(days=1)
_importing = threading.Lock()
# What a full, read-only or forbidden disk says; polars gives no number.
_DISK = {None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class Given:
    """A value from outside a graph; `identity` is what the cache knows it by ("" when it does not affect results)."""

    value: Any
    identity: str = ""


def setting(value: object) -> Given:
    """A configuration value, known to the cache by its content.

    >>> setting({"seed": 42}).identity[:8]
    '2a6d2033'
    """
    text = TypeAdapter(Any).dump_json(value)
    return Given(value, hashlib.sha256(text).hexdigest())


class Silent:
    """A Progress that tells nobody."""

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Run:
    """A run's record and the way to what it made."""

    record: RunRecord
    _outputs: Mapping[str, Any] = field(repr=False)

    def __getitem__(self, step: str) -> Any:
        """The output of a step, loaded when asked for."""
        return self._outputs[step]()


@dataclass(frozen=True)
class Runner:
    """Where outputs and records are kept, who is told, which packages count as first-party code.

    `scratch` is a folder on the same file system as the artifacts; `threads` steps run at once.
    """

    artifacts: ArtifactStore
    state: StateStore
    progress: Progress
    scratch: Path
    first_party: tuple[str, ...] = ("everfit",)
    threads: int = 2

    def run(
        self,
        graph: Graph,
        given: Mapping[str, Given],
        *,
        pipeline: str,
        use_cache: bool = True,
        stopped: Callable[[Run, EverfitError], None] | None = None,
    ) -> Run:
        """Executes the graph. The first error stops it: steps under way finish, later ones are skipped, the record
        says so, and the error is raised (StepFailed when it was not everfit's own). Before that, `stopped` is told
        the error and given the run, which holds what the finished steps made."""
        _sweep(self.scratch)
        record = RunRecord(_run_id(), pipeline, Status.RUNNING, datetime.now(UTC), pid=os.getpid(), host=gethostname())
        self.state.append(RUNS, encode(record))
        walk = _Walk(self, graph, given, pipeline, use_cache)
        try:
            error = walk.go()
        except BaseException:  # Ctrl-C: the process may live on, so that nobody else would notice
            self._end(record, walk, "interrupted")
            raise
        record = self._end(record, walk, str(error) if error else None)
        run = Run(record, walk.loaders())
        if error and stopped:
            stopped(run, error)
        if error:
            raise error
        return run

    def _end(self, record: RunRecord, walk: _Walk, error: str | None) -> RunRecord:
        status = Status.FAILED if error else Status.DONE
        ended = replace(record, status=status, ended_at=datetime.now(UTC), steps=tuple(walk.records), error=error)
        self.state.append(RUNS, encode(ended))
        return ended


class _Walk:
    """One execution of a graph: what is done, by content hash, and what is in memory."""

    def __init__(
        self, runner: Runner, graph: Graph, given: Mapping[str, Given], pipeline: str, use_cache: bool
    ) -> None:
        self.runner, self.graph, self.given = runner, graph, given
        self.pipeline, self.use_cache = pipeline, use_cache
        self.artifacts = Verified(runner.artifacts)
        self.records: list[StepRecord] = []
        self._digests: dict[str, str] = {name: value.identity for name, value in given.items()}
        self._values: dict[str, Any] = {name: value.value for name, value in given.items()}
        self._codes: dict[str, CodeIdentity] = {}
        self._takers = _takers(graph)
        self._lock = threading.Lock()

    def go(self) -> EverfitError | None:
        """Runs every step as soon as what it needs is there; returns the first error."""
        waiting = {one.name: one for one in self.graph.steps}
        running: set[Future[None]] = set()
        ended: SimpleQueue[Future[None]] = SimpleQueue()
        error = self._read_code()
        with ThreadPoolExecutor(self.runner.threads, thread_name_prefix="step") as pool:
            while waiting or running:
                ready = [] if error else [n for n, s in waiting.items() if set(s.sources) <= self._digests.keys()]
                for name in ready:
                    running.add(begun := pool.submit(self._step, waiting.pop(name)))
                    begun.add_done_callback(ended.put)
                if not running:
                    break
                running.remove(future := ended.get())
                error = error or _error(future)
        for name in waiting:
            self._report(StepRecord(name, Status.SKIPPED, "", "", 0.0, "an earlier step failed"))
        return error

    def loaders(self) -> Mapping[str, Callable[[], Any]]:
        """A way to each output, verified anew, for it may be asked for long after the run."""
        self.artifacts = Verified(self.runner.artifacts)
        return {one.name: lambda one=one: self._value(one.name) for one in self.graph.steps}  # type: ignore[misc]  # a default binds the loop's value

    def _step(self, one: Step) -> None:
        started = time.perf_counter()
        self.runner.progress.step(one.name, Status.RUNNING, 0.0, "")
        wanted: cache.Recipe | None = None
        try:
            wanted = cache.recipe(one, self._digests, self._codes[one.name])
            record = self._hit(one, wanted) or self._miss(one, wanted, started)
        except Exception as error:
            key = wanted.key if wanted else ""
            seconds = time.perf_counter() - started
            self._report(StepRecord(one.name, Status.FAILED, key, "", seconds, str(error).partition("\n")[0]))
            raise
        self._digests[one.name] = record.output
        self._let_go(one)
        self._report(record)

    def _read_code(self) -> EverfitError | None:
        """Before the threads begin: up to 3.11.7, Python fails when it parses in two of them (its issue 106905)."""
        self._codes = dict(self.graph.codes)
        unread = [one for one in self.graph.steps if one.name not in self._codes]
        if not unread:
            return None
        identities = Identities(self.runner.artifacts, self.runner.first_party)
        try:
            self._codes |= {one.name: identities.of(one.function) for one in unread}
        except EverfitError as error:
            return error
        return None

    def _hit(self, one: Step, wanted: cache.Recipe) -> StepRecord | None:
        if not (self.use_cache and one.cached):
            return None
        entry = cache.find(self.artifacts, wanted)
        if entry is None:
            return None
        return StepRecord(one.name, Status.CACHED, wanted.key, entry.output, entry.seconds, "nothing changed")

    def _miss(self, one: Step, wanted: cache.Recipe, started: float) -> StepRecord:
        why = self._why(one, wanted)
        if one.cached:
            _import(self.graph.libraries)
        arguments = {name: self._argument(need) for name, need in one.needs.items()}
        with _scratch(self.runner.scratch) as folder:
            if one.wants_folder:
                arguments[FOLDER] = folder
            made = _call(one, arguments, folder)
            output = self.artifacts.put(folder, move=True)
        if made is not None and one.name in self._takers:
            with self._lock:
                self._values[one.name] = made
        seconds = time.perf_counter() - started
        if one.cached:
            cache.remember(self.runner.artifacts, self.pipeline, cache.Entry(output, seconds, wanted))
        return StepRecord(one.name, Status.DONE, wanted.key, output, seconds, why)

    def _why(self, one: Step, wanted: cache.Recipe) -> str:
        if not one.cached:
            return "runs every time"
        return cache.why_missed(self.runner.artifacts, self.pipeline, wanted) if self.use_cache else "--no-cache"

    def _argument(self, need: str | tuple[str, ...]) -> Any:
        return self._value(need) if isinstance(need, str) else tuple(self._value(name) for name in need)

    def _value(self, name: str) -> Any:
        with self._lock:
            if name not in self._values:
                folder = self.artifacts.get(self._digests[name])
                if folder is None:
                    raise StorageError(
                        f"the output of step {name} vanished or was changed during the run", fix="run again"
                    )
                self._values[name] = artifact.load(self.graph[name].output, folder)
            return self._values[name]

    def _let_go(self, ended: Step) -> None:
        """What no step that is still to run takes need not stay in memory: a table can be large."""
        with self._lock:
            for name in {*ended.sources} - self.given.keys():
                self._takers[name].discard(ended.name)
                if not self._takers[name]:
                    self._values.pop(name, None)

    def _report(self, record: StepRecord) -> None:
        with self._lock:
            self.records.append(record)
        self.runner.progress.step(record.name, record.status, record.seconds, record.why)


def _takers(graph: Graph) -> dict[str, set[str]]:
    """The steps that take each output."""
    found: dict[str, set[str]] = {}
    for one in graph.steps:
        for name in one.sources:
            found.setdefault(name, set()).add(one.name)
    return found


def _import(modules: Iterable[str]) -> None:
    with _importing:
        # OpenMP reads it when it is loaded. A thread that spins while it waits takes the processor from those that it
        # waits for, and on a busy machine a fit in two threads takes four times as long as in one.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        for name in modules:
            if name not in sys.modules and find_spec(name.partition(".")[0]):
                import_module(name)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A fresh folder that is gone afterwards, whatever happened; a refusing disk is reported in plain words."""
    try:
        folder = _made(root)
        try:
            yield folder
        finally:  # not there any more where it was moved into the store
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"the step's output could not be written: {error.strerror or error}",
            where=str(root),
            fix="free disk space or make the folder writable, then run again: finished steps are kept",
        ) from error


def _made(root: Path) -> Path:
    folder = root / f"{os.getpid()}-{os.urandom(8).hex()}"
    try:
        folder.mkdir(0o700)
    except FileNotFoundError:  # the first step of all
        folder.mkdir(0o700, parents=True)
    return folder


def _sweep(root: Path) -> None:
    """Removes what killed runs left half-written."""
    for folder in root.glob("*-*"):
        pid = folder.name.partition("-")[0]
        with suppress(FileNotFoundError):  # another run's step ended meanwhile
            if pid.isdigit() and not processes.alive(int(pid), folder.stat().st_mtime):
                shutil.rmtree(folder, ignore_errors=True)


def _call(one: Step, arguments: Mapping[str, Any], folder: Path) -> Any:
    try:
        return artifact.save(one.function(**arguments), one.output, folder)
    except EverfitError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise StepFailed(
            f"{type(error).__name__}: {error}",
            where=f"step {one.name} ({frame.filename}:{frame.lineno})",
            fix="mend the cause and run again: finished steps are kept",
        ) from error


def _error(future: Future[None]) -> EverfitError | None:
    error = future.exception()
    if error is None or isinstance(error, EverfitError):
        return error
    failed = StepFailed(f"{type(error).__name__}: {error}", where="runner", fix="run again; report it if it stays")
    failed.__cause__ = error
    return failed


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def runs(state: StateStore) -> list[RunRecord]:
    """All runs, oldest first, each as it was last written; a run whose process is gone without a last word is shown
    as failed."""
    newest: dict[str, RunRecord] = {}
    for number, text in state.read(RUNS):
        record = decode(RunRecord, text, where=f"run record {number}")
        newest[record.id] = record
    return [reconciled(record) for record in newest.values()]


def reconciled(record: RunRecord) -> RunRecord:
    """The run as it stands: failed where its process is gone without a last word."""
    if record.status is not Status.RUNNING or _goes_on(record):
        return record
    return replace(record, status=Status.FAILED, error="interrupted: its process is gone")


def _goes_on(record: RunRecord) -> bool:
    if record.host in ("", gethostname()):
        return processes.alive(record.pid, record.started_at.timestamp())
    # Nobody here can look for a process of another machine: after so long it is taken for gone.
    return datetime.now(UTC) - record.started_at < _ELSEWHERE
