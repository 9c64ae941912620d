"""What is done to a registered version, by whom, through the ledger's rules; the registry is told of each change.

project = everfit.load("everfit.yaml", "production")
project.versions.approve(3)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from everfit.errors import Conflict, EverfitError, NotReady, ProjectError, StorageError
from everfit.flow import ledger
from everfit.flow.standby import Standby
from everfit.records.access import APPROVERS
from everfit.rollout import routing
from everfit.rollout.approval import Rule

if TYPE_CHECKING:
    import ssl

    from everfit.flow.mirror import Move
    from everfit.flow.production import Expected
    from everfit.ports import Progress, StateStore
    from everfit.project.load import Loaded
    from everfit.records.release import ReleaseState, SmokeTest
    from everfit.records.table import Value
    from everfit.records.watch import Alarm
    from everfit.wiring import Ports


FOLLOWED = timedelta(seconds=30)  # by then a server follows the ledger, or something is wrong


class Hand(Protocol):
    """Who acts on what: an opened project."""

    ports: Ports
    author: str
    progress: Progress
    clock: Callable[[], datetime]


class Versions:
    """The versions of one project in one environment. Each verb returns the release as it is afterwards, and raises
    ReleaseError for what the rules refuse and Conflict when somebody else was first."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    @property
    def rule(self) -> Rule:
        """Who must allow a version in this environment."""
        settings = self._hand.ports.loaded.project.release
        needed = settings.approve.get(self._hand.ports.loaded.environment, 0)
        return Rule(needed, settings.approvers, settings.identity == "key")

    def release(self, version: int | None = None, force: bool = False, others: Sequence[int] = ()) -> ReleaseState:
        """Brings a version, or the newest, in front of traffic, or stages it until it is approved; before either it
        is rehearsed. `others` are further challengers of an A/B test. Raises ReleaseError when one fails that, and
        StorageError when a bundle cannot be loaded."""
        from everfit.flow import release

        settings = self._hand.ports.loaded.project.release
        state = _state(self._hand)
        shown = _rehearsed(self._hand.ports, version or ledger.current(state).latest)
        now, by = self._hand.clock(), self._hand.author
        for other in others:
            _rehearsed(self._hand.ports, other)
        return _told(self._hand, release.start(state, settings, by, version, force, now, self.rule, shown, others))

    def resume(self) -> ReleaseState:
        """Begins the release that waits, once it is approved and no canary is under way."""
        from everfit.flow import promotion

        before = ledger.current(self._hand.ports.state)
        settings = self._hand.ports.loaded.project.release
        after = promotion.resume(_state(self._hand), settings, self._hand.author, self.rule, self._hand.clock())
        return after if after == before else _told(self._hand, after)

    def approve(
        self, version: int, reason: str = "approved", key: str | None = None, tell: bool = True
    ) -> ReleaseState:
        """The approval of the one whose `key` it is, or of the author; the last one that was needed lets a release that
        waits begin. Without `tell` the registry hears of it later, by `reconcile`."""
        from everfit.flow import keys, promotion

        state, settings = _state(self._hand), self._hand.ports.loaded.project.release
        by = keys.holder(state, key, APPROVERS) if key else self._hand.author
        now = self._hand.clock()
        after = promotion.approve(state, version, by, self.rule, settings, reason, now, proven=bool(key))
        return _told(self._hand, after) if tell else after

    def promote(self, version: int, reason: str = "promoted by hand", force: bool = False) -> ReleaseState:
        """Makes a version champion now, without a canary; it is rehearsed as before a release. Raises as `release`."""
        from everfit.flow import promotion

        state = _state(self._hand)
        shown = _rehearsed(self._hand.ports, version)
        now, by = self._hand.clock(), self._hand.author
        return _told(self._hand, promotion.promote(state, version, by, self.rule, reason, force, now, shown))

    def archive(self, version: int, reason: str = "archived by hand") -> ReleaseState:
        """Takes a version out of use; one that answers, or that a rollback would bring back, is refused."""
        from everfit.flow import promotion

        return _told(
            self._hand, promotion.archive(_state(self._hand), version, self._hand.author, reason, self._hand.clock())
        )

    def roll_back(self, reason: str = "rolled back by hand") -> ReleaseState:
        """Ends the canary, or gives the traffic back to the champion before this one.

        While the state store is away, this machine's servers do so at once by an order that is kept beside the
        prediction log, and entered into the ledger when the store is back."""
        from everfit.flow import release

        try:
            after = release.roll_back(_state(self._hand), self._hand.author, reason, self._hand.clock())
        except Conflict:
            raise
        except StorageError as error:
            return _ordered(self._hand, reason, error)
        return _told(self._hand, after)


def _ordered(hand: Hand, reason: str, error: StorageError) -> ReleaseState:
    from everfit.wiring import bell

    after = _standby(hand).give(hand.author, reason, hand.clock())
    bell(hand.ports).ring()
    hand.progress.note(
        f"the state store is away ({error.what}): this machine's servers go back at once, and the ledger hears of "
        "it when the store is there again; servers on other machines need the same command there"
    )
    return after


def _state(hand: Hand) -> StateStore:
    """The store, with everything in it that was ordered while it was away."""
    _standby(hand).reconcile(hand.ports.state)
    return hand.ports.state


def _standby(hand: Hand) -> Standby:
    return Standby(hand.ports.folder)


def _told(hand: Hand, after: ReleaseState) -> ReleaseState:
    """The release as it is now, kept for when the store is away, and told to the registry."""
    _standby(hand).save(after, ledger.versions(hand.ports.state))
    tell(hand)
    return after


def tell(hand: Hand) -> None:
    """Tells the registry what it does not show of the ledger, and delivers what is released. A registry that is away is
    no error, and hears of it later; a target that cannot be written raises StorageError after everything else."""
    from everfit.flow import mirror

    ports = hand.ports
    mirror.tell(ports.state, ports.registry, hand.progress)
    _deliver(ports)


def _deliver(ports: Ports) -> None:
    from everfit import wiring
    from everfit.flow import delivery

    target = wiring.target(ports.loaded)
    if target is not None:
        delivery.deliver(ports.state, ports.artifacts, target)


def reconcile(hand: Hand) -> tuple[Alarm, ...]:
    """Looks for what was done in the registry by hand, deals with it by `release.foreign`, and tells the registry what
    it does not show. Returns the alarms about it, which were sent: one for each move, and one for each version that is
    in use and was deleted there."""
    from everfit.flow import alerting, mirror

    ports, policy = hand.ports, hand.ports.loaded.project.release.foreign
    _deliver(ports)  # needs no registry
    found = mirror.moves(ports.state, ports.registry)
    alarms = [_alarm(hand, f"{move.told}:{move.alias}", f"{move}; {_dealt(hand, move, policy)}") for move in found]
    for version in mirror.missing(ledger.current(ports.state), ports.registry):
        text = f"version {version} is in use and was deleted in the registry; it is served from the bundle kept here"
        alarms.append(_alarm(hand, f"deleted:{version}", text))
    if not found or policy != "report":
        mirror.tell(ports.state, ports.registry, hand.progress)
    alerting.send(tuple(alarms), ports.channels, ports.state, hand.progress)
    return tuple(alarms)


def smoke(hand: Hand, url: str | None = None, key: str | None = None, wait: timedelta = FOLLOWED) -> SmokeTest:
    """Asks a server that answers callers, by default the one of this project file, and writes what was found into the
    ledger. Raises NotReady where nothing is released."""
    from everfit.flow import production
    from everfit.flow.asking import Asking

    asked, context = _address(hand.ports.loaded)
    if url is None and hand.ports.loaded.project.serving.port == 0:
        raise ProjectError(
            "the port is a free one, so nobody knows here which", where="serving.port", fix="name the server with --url"
        )
    found = production.smoke_test(Asking(url or asked, key or "", context), _expected(hand.ports), wait)
    production.record(hand.ports.state, found, hand.author, hand.clock())
    return found


def _dealt(hand: Hand, move: Move, policy: str) -> str:
    """What becomes of a move, in words, after it was done."""
    if policy == "report":
        return "it stays until the ledger moves it"
    if policy == "undo" or move.version is None or move.alias == "archived":
        return "it is undone"
    reason = f"{move.alias} was set to it by hand in the registry"
    try:
        if move.alias == "production":
            Versions(hand).promote(move.version, reason)
        else:
            Versions(hand).release(move.version)
    except EverfitError as error:
        return f"it is undone, for it cannot be adopted: {error.what}"
    return "it is adopted"


def _alarm(hand: Hand, key: str, message: str) -> Alarm:
    from everfit.records.watch import Alarm, AlarmKind

    return Alarm(f"{AlarmKind.RELEASE}:registry:{key}", AlarmKind.RELEASE, hand.clock(), message)


def _address(loaded: Loaded) -> tuple[str, ssl.SSLContext | None]:
    """Where the project's own server listens, and what is trusted there: also the certificate that it shows."""
    import ssl

    serving = loaded.project.serving
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    if serving.tls is None:
        return f"http://{host}:{serving.port}", None
    try:
        context = ssl.create_default_context(cafile=loaded.root / serving.tls.certificate)
    except OSError as error:
        raise ProjectError(
            f"the certificate cannot be read: {error.strerror}",
            where=f"serving.tls.certificate: {serving.tls.certificate}",
            fix="correct the path",
        ) from error
    return f"https://{host}:{serving.port}", context


def _expected(ports: Ports) -> Expected:
    """What servers are held to now."""
    from everfit.flow import routes
    from everfit.flow.production import Expected
    from everfit.serving.masking import row_mask

    release, known, project = ledger.current(ports.state), ledger.versions(ports.state), ports.loaded.project
    if release.champion is None:
        raise NotReady("nothing is released, so no server has anything to show", fix="run `everfit release`")
    used = {arm.version for arm in routing.table(release).arms}
    models = {version: routes.load(known[version], ports.artifacts, project.training.trusted) for version in used}
    mask = row_mask(project.data.personal, project.data.key.get_secret_value() if project.data.key else None)
    return Expected(release, models, mask, project.serving.response.score, project.release.guard.smoke)


def _rehearsed(ports: Ports, version: int | None) -> Mapping[str, Value]:
    """What the version showed; one that is not registered is refused by the release itself."""
    from everfit.flow import rehearsal, routes

    made, project = ledger.versions(ports.state).get(version or 0), ports.loaded.project
    if made is None:
        return {}
    model = routes.load(made, ports.artifacts, project.training.trusted)
    return rehearsal.rehearse(model, made, project.release.guard.smoke, project.serving.response)
