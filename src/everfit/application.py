"""Projects as one server answers for them: each an application of its own, with what keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from everfit import loops
from everfit.errors import EverfitError, ProjectError, StorageError
from everfit.flow import keys
from everfit.flow.observed import Observer
from everfit.project.sections.serving import Tls
from everfit.serving.access import Access
from everfit.serving.answering import Answering
from everfit.serving.app import Application, create_app
from everfit.serving.commit import GroupCommit
from everfit.serving.fleet import check_names
from everfit.serving.front import LOOPBACK_NAMES
from everfit.serving.watch_metrics import Observed, WatchMetrics
from everfit.workspace import Workspace, explainer

_AT_ONCE = timedelta(seconds=0.1)  # how soon an order to go back is obeyed while the state store is away


@dataclass(frozen=True, slots=True)
class Served:
    """A project's application, who may ask it, and what keeps it up to date."""

    app: Application
    access: Access
    follows: Sequence[loops.Follow]


def application(workspace: Workspace, local: bool, certified: bool) -> Served:
    """The project's own routes, keys, limits and log; `local` says that only this machine reaches the server, and
    `certified` that callers show a certificate."""
    settings = workspace.project.serving
    access = Access(required=not local and not certified, rate=settings.limits.rate)
    app = create_app(
        workspace.predictor,
        name=workspace.project.name,
        response=settings.response,
        limits=settings.limits,
        labels=workspace.ports.labels,
        explainer=explainer(workspace),
        hosts=settings.hosts or (LOOPBACK_NAMES if local else None),
        access=access,
        approve=lambda version, reason, key: _approved(workspace, version, reason, key),
        waits=settings.log.fsync == "always",
        batches=settings.batching == "auto",
    )

    workspace.predictor.metrics.registry.register(WatchMetrics(_observing(workspace)))

    def told() -> None:
        access.tell(keys.followed(workspace.ports.state, workspace.ports.folder))

    try:
        told()
    except StorageError:  # the state store is away and never told this machine: nobody is let in until it does
        access.close()
    # Each a thread of its own: a store that hangs keeps nobody from an order to go back.
    follows = (
        ("routes", lambda: _follow(workspace), settings.refresh),
        ("emergency", workspace.replica.obey, _AT_ONCE),
        ("keys", told, settings.refresh),
    )
    return Served(app, access, follows)


def grpc(workspace: Workspace, host: str, access: Access) -> AbstractContextManager[object]:
    """The inference protocol over gRPC while the block runs, where the project wants it."""
    settings = workspace.project.serving
    if settings.grpc is None:
        return nullcontext()
    from everfit.serving import grpc_server
    from everfit.serving.grpc_inference import Inference

    log = workspace.ports.log
    commit = GroupCommit(log, waits=settings.log.fsync == "always")
    answering = Answering(workspace.predictor, commit, settings.batching == "auto")
    inference = Inference(answering, settings.response, settings.limits)
    address = (host, settings.grpc.port)
    return grpc_server.running(inference, address, settings.limits, access, tls(workspace), shared=settings.workers > 1)


def _observing(workspace: Workspace) -> Callable[[], Observed]:
    """What reads the records for /metrics; made when it is first asked, for the state store may be away until then."""
    made = cache(lambda: Observer(workspace.ports.state))

    def read() -> Observed:
        return made()()

    return read


def tls(workspace: Workspace) -> Tls | None:
    """The files with their folder. Raises ProjectError for one that is not there."""
    given, root = workspace.project.serving.tls, workspace.loaded.root
    if given is None:
        return None
    found = {name: root / path for name, path in given.model_dump().items() if path is not None}
    for name, path in found.items():
        if not path.is_file():
            raise ProjectError("there is no such file", where=f"serving.tls.{name}: {path}", fix="correct the path")
    return Tls(**{name: str(path) for name, path in found.items()})


def checked(every: Sequence[Workspace]) -> Sequence[Workspace]:
    """The projects of one server. Raises ProjectError for those that cannot share one."""
    check_names([one.project.name for one in every])
    for one in every if len(every) > 1 else ():
        apart = {"serving.grpc": one.project.serving.grpc, "training.trusted": one.project.training.trusted}
        for setting in (name for name, value in apart.items() if value):
            raise ProjectError(
                f"the project {one.project.name!r} needs a server of its own",
                where=setting,
                fix="serve it by itself: modules of one's own and the port for gRPC are not shared",
            )
    return every


def is_certified(workspace: Workspace) -> bool:
    """Whether callers of the project's server have to show a certificate."""
    tls = workspace.project.serving.tls
    return tls is not None and tls.authority is not None


def has_keys(workspace: Workspace) -> bool:
    """Whether callers have to show a key."""
    try:
        return bool(keys.followed(workspace.ports.state, workspace.ports.folder))
    except StorageError:  # closed, see `application`
        return True


def load(workspace: Workspace) -> None:
    """What is released; the champion alone will do, the follower tells what is wrong with the rest."""
    try:
        workspace.refresh()
    except EverfitError:
        if not workspace.predictor.snapshot.table.arms:
            raise


def _follow(workspace: Workspace) -> None:
    """Follows the ledger; what cannot be loaded is rolled back, if `release.guard.automatic` says so."""
    try:
        workspace.refresh()
    except EverfitError:
        if workspace.project.release.guard.automatic:
            _give_up(workspace)
        raise


def _approved(workspace: Workspace, version: int, reason: str, key: str) -> dict[str, object]:
    """An approval from afar. The registry hears of it by `reconcile`: its client is too large for a server."""
    from everfit.rollout import approval

    versions = workspace.versions
    after = versions.approve(version, reason, key, tell=False)
    left = approval.missing(after, version, versions.rule)
    waits = approval.waiting(after, version, versions.rule) if left else ""
    return {"version": version, "by": after.approvals[-1].by, "missing": left, "waits_for": waits}


def _give_up(workspace: Workspace) -> None:
    """Rolls back what cannot be loaded. Where the ledger itself cannot be read, nothing is known of that."""
    from everfit.flow import holding

    ports, trusted = workspace.ports, workspace.project.training.trusted
    with suppress(EverfitError):
        why = holding.lost(ports.state, workspace.predictor, ports.artifacts, trusted)
        if why:
            workspace.rollback(why)
