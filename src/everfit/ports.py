"""What the loop needs of the outside world: each Protocol has one to four methods and many possible adapters.

Every adapter passes the contract suite of its port in `everfit.testing.contracts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from everfit.records.model import Manifest, ModelVersion, TrialRun
from everfit.records.prediction import Label, Logged, PredictionRecord
from everfit.records.release import Deployed
from everfit.records.table import Kind, Row
from everfit.records.watch import Alarm

if TYPE_CHECKING:
    import polars as pl

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")


class Source(Protocol):
    """A table somewhere: a file, a bucket, a database, a topic."""

    def identity(self) -> str:
        """Changes whenever the content does, cheaply found (a content hash, an ETag, a max of a change column)."""
        ...

    def read(self) -> pl.DataFrame:
        """The whole table, as found: no cast beyond what the format itself says. Raises SourceError."""
        ...


@runtime_checkable
class Batches(Protocol):
    """A source that can be read a piece at a time, so that a table of any size fits."""

    def count(self) -> int:
        """The number of rows, found without holding them. Raises SourceError."""
        ...

    def batches(self, rows: int, skip: int = 0, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The table from row `skip` on as `Source.read` gives it, in tables of `rows` rows, the last one shorter. Of a
        table that has all of `columns` these alone, in its own order; one that lacks some is given whole, for whoever
        wants to say what is close to them. Raises SourceError."""
        ...


class StateStore(Protocol):
    """Append-only streams of JSON documents, numbered from 1 in each stream: the truth about runs, releases, alarms
    and decisions. Safe between processes; an append is durable when it returns."""

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        """Appends and returns the document's number. With `expect`, the stream must hold exactly that many documents
        or Conflict is raised: compare-and-set."""
        ...

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        """The documents numbered above `after`, in order; empty for an unknown stream."""
        ...

    def last(self, stream: str) -> tuple[int, bytes] | None:
        """The newest document of the stream, cheaply."""
        ...


class ArtifactStore(Protocol):
    """Folders of files by content hash, and the cache's index from step key to content hash."""

    def put(self, folder: Path, *, move: bool = False) -> str:
        """Stores a copy of the folder and returns its content hash; storing the same content twice is free. With
        `move` nobody needs the folder any more, so that the store may take it instead of a copy, and it may be gone."""
        ...

    def get(self, digest: str, *, verify: bool = True) -> Path | None:
        """A local folder with that content, its bytes verified against the hash; None when absent or damaged. Who has
        put or verified it a moment ago may do without another look at its bytes."""
        ...

    def link(self, key: str, document: bytes) -> None:
        """Remembers a small document under a step key, atomically; the last writer wins."""
        ...

    def resolve(self, key: str) -> bytes | None:
        """The document remembered under the key, or None."""
        ...


class Registry(Protocol):
    """Experiment tracking and model versions. Adding the same bundle twice gives the same version."""

    def add(self, bundle: Path, digest: str, manifest: Manifest, trials: Sequence[TrialRun] = ()) -> ModelVersion:
        """Logs parameters, metrics, pictures and the bundle as a run, each trial as a run nested in it, and registers
        it as the next version; nothing is registered where any of it fails."""
        ...

    def versions(self) -> list[ModelVersion]:
        """All versions, oldest first."""
        ...

    def aliases(self) -> Mapping[str, int]:
        """The versions that the aliases `production`, `staging` and `archived` are at, as the registry shows them."""
        ...

    def mirror(self, aliases: Mapping[str, int], stages: Mapping[int, str]) -> None:
        """Makes these aliases, and the stage of every version, say what the ledger says, no more and no less. Doing it
        again changes nothing; aliases of other names are left alone."""
        ...


class Tracker(Protocol):
    """Where people compare figures over time: those of production go beside those of training."""

    def track(self, version: int, look: int, at: datetime, figures: Mapping[str, float]) -> None:
        """Adds what the look of that number found about a version. Raises StorageError."""
        ...


class DriftPage(Protocol):
    """Somebody else's report of two windows of the same columns."""

    def write(self, reference: pl.DataFrame, current: pl.DataFrame, page: Path) -> None:
        """Writes it as one page of HTML. Raises MissingExtra and StorageError."""
        ...


class OnlineStore(Protocol):
    """The latest raw row of each entity, read in microseconds while serving."""

    def put(self, entity: str, table: pl.DataFrame) -> int:
        """Upserts the rows by the column `entity` (the last one of equal keys wins); returns how many."""
        ...

    def get(self, key: str) -> Row | None:
        """The row of one entity, or None."""
        ...


class PredictionLog(Protocol):
    """Every prediction answered. Acknowledged means written: what `append` returned from survives kill -9."""

    def append(self, records: Sequence[Logged]) -> None:
        """Writes the records, all or none. Raises StorageError (for example disk full), and then none is answered."""
        ...

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        """The records with since <= time < until in the order written, each row of a batch as one; a torn end is passed
        over."""
        ...

    def frame(
        self,
        fields: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        features: Mapping[str, Kind] | None = None,
        inputs: Mapping[str, Kind] | None = None,
        classes: Sequence[str] = (),
    ) -> pl.DataFrame:
        """Some columns of the same records in the same order, without making records: a row each, the fields of
        `PredictionRecord` by name (but the groups), then `features.NAME` for each name given: Float64 for
        numbers and yes-or-no, String for others, null where a record has none; and `input.NAME` for what callers sent,
        Float64 for numbers and String for all else; and `probabilities.NAME` for each class given, Float64, null where
        a record has no such class. `prediction` is text. Raises ValueError for an unknown field."""
        ...

    def tend(self) -> None:
        """Puts in order what was left by crashes, brings what is stored into its fastest form and removes what is not
        to be kept; to be called once in a while by who serves. Raises StorageError."""
        ...


class LabelStore(Protocol):
    """The truths that arrive later. Storing the same truth twice changes nothing, not even when it was learned; a
    correction keeps both."""

    def put(self, labels: Iterable[Label]) -> int:
        """Stores them and returns how many were new."""
        ...

    def frame(self, since: datetime | None = None) -> pl.DataFrame:
        """For each prediction id the label known last, in the order of arrival: `prediction_id`, `known_at`,
        `stored_at`, `place` in that order, and the truth as `value` (text) or `number` (Float64), the other one null;
        of those stored at `since` or later. A label never comes before its prediction, so those of recent predictions
        are all there."""
        ...

    def count(self) -> int:
        """How many predictions have a label."""
        ...


class Executor(Protocol):
    """Runs a function over many items: in processes here, on Ray elsewhere."""

    def map(self, function: Callable[[S, A], B], items: Iterable[A], shared: S) -> Iterator[B]:
        """The results of `function(shared, item)` in the order of the items, each as soon as it and those before it
        are there. Items that are no sequence are taken as workers need them, so that large ones fit. Large arrays in
        `shared` are not copied for each item. What the function raises arrives as itself."""
        ...


class Target(Protocol):
    """Somewhere outside that holds released bundles as files, one of which is the current one. Safe between processes.
    Raises StorageError when it cannot be written."""

    def put(self, name: str, bundle: Path, content: str) -> None:
        """Makes the bundle be there under the name of a deployment, its bytes verified against the hash `content`."""
        ...

    def point(self, deployed: Deployed) -> None:
        """Makes a deployment that is there the current one at once, unless that is of a later release."""
        ...

    def current(self) -> Deployed | None:
        """The deployment to use; None before the first."""
        ...

    def keep(self, names: Collection[str]) -> None:
        """Removes every deployment but these and the current one."""
        ...


class AlertChannel(Protocol):
    """Somewhere that a person will see it."""

    def send(self, alarm: Alarm) -> None:
        """Delivers, or raises StorageError so that the alarm stays due."""
        ...


class Scorer(Protocol):
    """An estimator ready to answer: numbers in, scores out."""

    def score(self, matrix: Any) -> Any:
        """(rows, encoded columns) float64 -> (rows, classes) probabilities, or (rows,) values for regression."""
        ...


class Progress(Protocol):
    """Told what a run is doing, so that somebody can show it."""

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """A step started (`running`) or ended (`done`, `cached`, `failed`, `skipped`)."""
        ...

    def note(self, text: str) -> None:
        """Something worth saying while a long step is under way."""
        ...
