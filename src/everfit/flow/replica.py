"""One server among several: it follows the ledger's route table, and stands by on its own while it cannot.

The number of the ledger's last event is the route table's version, so that all replicas agree as soon as each has
looked. A replica that reaches the store serves a table no older than its pause between two looks, the time of a query
and the time to load what is new. One that does not keeps the last table, also over a restart, and says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from everfit.errors import Conflict, StorageError
from everfit.flow import ledger, routes
from everfit.flow.standby import Standby
from everfit.ports import ArtifactStore, StateStore
from everfit.records.model import ModelVersion
from everfit.records.release import LedgerEvent, ReleaseState
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor


class Replica:
    """Keeps `predictor` on the route table. `state` opens the store, which may be away. Safe between threads: `obey`
    never waits for a store that hangs.

    Versions in use stay loaded, so that going back loads nothing."""

    def __init__(
        self,
        predictor: Predictor,
        state: Callable[[], StateStore],
        artifacts: ArtifactStore,
        standby: Standby,
        trusted: Sequence[str] = (),
    ) -> None:
        self._predictor = predictor
        self._state = state
        self._artifacts = artifacts
        self._standby = standby
        self._trusted = trusted
        self._number = -1  # of the event after which the release is served; -1 while it is this machine's own
        self._order: LedgerEvent | None = None
        self._confirmed: datetime | None = None
        self._warm: dict[int, Model] = {}
        self._followed = ledger.Followed()
        self._reading = threading.Lock()
        self._swapping = threading.Lock()

    def refresh(self) -> bool:
        """Looks into the store, and brings the predictor up to it; true when the route table changed.

        Raises what went wrong, after the predictor was told why it is behind; it then answers by what this machine
        saw last. An order to go back that was given here meanwhile is entered into the ledger."""
        try:
            found = self._look()
        except Conflict:  # somebody else has entered the order: the next look will see it
            raise
        except StorageError as error:
            self._away(error)
            raise
        try:
            changed = found is not None and self._take(*found)
        except Exception as error:
            self._predictor.behind = str(error) or type(error).__name__
            raise
        self._predictor.behind = ""
        return changed

    def obey(self) -> bool:
        """Goes back at once if this machine was ordered to; true when the route table changed."""
        order = self._standby.order()
        if order is None or order == self._order:
            return False
        return self._stand_by()

    def _look(self) -> tuple[ReleaseState, Mapping[int, ModelVersion]] | None:
        """The release and its versions, if the ledger has moved on."""
        state = self._state()
        ordered = self._standby.reconcile(state)
        newest = state.last(ledger.STREAM)
        number = newest[0] if newest else 0
        self._check(number)
        self._confirmed = datetime.now(UTC)
        self._predictor.metrics.confirmed = self._confirmed.timestamp()
        if number == self._number and not ordered:
            return None
        with self._reading:
            self._followed.read(state)
            return self._followed.release, dict(self._followed.versions)

    def _check(self, number: int) -> None:
        """A ledger that is shorter than it was seen is not this one."""
        if 0 <= self._number <= number:
            return
        saved = self._standby.saved()
        seen = max(self._number, saved.release.number if saved else 0)
        if number < seen:
            raise StorageError(
                f"the ledger holds {number} events, and this machine has seen {seen}: it was lost, or is another one",
                where="ledger",
                fix=f"restore the state from a backup; if it is to begin anew, remove {self._standby.remembered}",
            )

    def _take(self, release: ReleaseState, known: Mapping[int, ModelVersion]) -> bool:
        with self._swapping:
            if self._standby.order() is not None:  # given while this was read: the next look enters it
                return False
            changed = self._bring(release, known)
            self._standby.save(release, known)
            self._number, self._order = release.number, None
            return changed

    def _away(self, error: StorageError) -> None:
        try:
            self._stand_by()
        finally:
            since = f"since {self._confirmed:%Y-%m-%d %H:%M:%S} UTC" if self._confirmed else "since the start"
            what = "an emergency rollback is in force here" if self._order else "the last route table goes on"
            self._predictor.behind = f"the state is not known {since}, and {what}: {error}"

    def _stand_by(self) -> bool:
        """Answers by what this machine saw last, and by the order in force."""
        with self._swapping:
            order, saved = self._standby.order(), self._standby.release()
            if saved is None or (self._predictor.snapshot.table.arms and order == self._order):
                return False
            changed = self._bring(saved.release, saved.known)
            self._number, self._order = -1, order
            return changed

    def _bring(self, release: ReleaseState, known: Mapping[int, ModelVersion]) -> bool:
        changed = routes.bring(self._predictor, release, known, self._artifacts, self._trusted, self._warm)
        loaded = {**self._warm, **self._predictor.snapshot.models}
        self._warm = {version: loaded[version] for version in release.in_use if version in loaded}
        return changed
