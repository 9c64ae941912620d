"""An opened project with the verbs of the command line, for notebooks and tests.

project = everfit.load("everfit.yaml")
run = project.run()
project.release(run.version)
project.predict(frame)
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from everfit import wiring
from everfit.errors import EverfitError, GateFailed, NotReady, ProjectError, StorageError
from everfit.flow import ledger
from everfit.flow.run import Silent
from everfit.project.load import load as load_project
from everfit.trained import Trained
from everfit.versions import Versions, tell

if TYPE_CHECKING:
    import polars as pl

    from everfit.data.frames import Table
    from everfit.features.functions import Functions
    from everfit.flow.cohorts import By
    from everfit.flow.gathering import Gathering
    from everfit.flow.graph import Graph
    from everfit.flow.labels import Labelled
    from everfit.flow.monitoring import Watched
    from everfit.flow.replica import Replica
    from everfit.flow.run import Given, Run, Runner
    from everfit.ports import Progress
    from everfit.project.load import Loaded
    from everfit.project.sections.data import Data
    from everfit.records.cohorts import Cohorts
    from everfit.records.model import Manifest, ModelVersion
    from everfit.records.release import ReleaseState, Verdict
    from everfit.records.table import DatasetVersion, QualityReport
    from everfit.records.watch import Decision, MonitorReport, Retraining
    from everfit.serving.explaining import Explainer
    from everfit.serving.predictor import Predictor


class Workspace:
    """A project in one environment. `author` is written into the ledger; `clock` says what time it is wherever a verb
    is given no `now`: a simulation brings its own."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress | None = None,
        author: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.loaded = loaded
        self.project = loaded.project
        self.ports = wiring.Ports(loaded)
        self.progress: Progress = progress or Silent()
        self.author = author or _user()
        self.clock = clock
        self.versions = Versions(self)  # approve, promote, archive and the rest of what people do by hand
        self.gathered: Gathering | None = None  # what looks at a release have counted so far
        self.tallies: Path | None = None  # where several servers of the project count together
        root = str(loaded.root.absolute())
        if root not in sys.path:  # estimators by dotted path live beside the project file
            sys.path.insert(0, root)

    def run(
        self,
        use_cache: bool = True,
        refused: Callable[[Trained], None] | None = None,
        since: datetime | None = None,
    ) -> Trained:
        """Trains, gates and registers. Raises what stopped it; finished steps are kept either way. `refused` is given
        what was trained, without a version, before GateFailed is raised. `since` goes before `data.since`."""
        from everfit.flow import online

        ports = self.ports
        runner, graph, given = pipeline(self, since)

        def stopped(run: Run, error: EverfitError) -> None:
            _watch_quality(self, run)
            if refused is not None and isinstance(error, GateFailed):
                refused(Trained(run))

        run = runner.run(graph, given, pipeline="training", use_cache=use_cache, stopped=stopped)
        online.materialize(ports.online, ports.state, run, self.project.data.entity)
        _watch_quality(self, run)
        return Trained(run)

    def release(self, version: int | None = None, force: bool = False) -> ReleaseState:
        """Brings a version, or the newest, in front of traffic by the project's strategy; where it needs approvals
        that it lacks, it is staged instead."""
        return self.versions.release(version, force)

    def look(self, now: datetime | None = None) -> tuple[Verdict | None, ReleaseState]:
        """Judges the challenger on trial, or else holds a new champion to its first hour, and acts on the verdict."""
        from everfit.flow import holding, release
        from everfit.flow.trial import Trial

        self.versions.resume()
        ports, before = self.ports, ledger.current(self.ports.state)
        settings, now = self.project.release, now or self.clock()
        champion, gathering = before.champion, _gathering(self)
        if before.challenger is None or champion is None:
            verdict, after = holding.hold(ports.state, ports.log, settings, self.author, now, gathering.held)
        else:
            manifest = gathering.manifest(champion, lambda: _released(self, champion))
            trial = Trial(ports.log, ports.labels, settings, manifest, self.project.data.target.delay)
            pictures = ports.folder / "verdicts"
            verdict, after = release.look(ports.state, trial, self.author, now, pictures, gathering)
        if after != before:
            tell(self)
        return verdict, after

    def rollback(self, reason: str = "rolled back by hand") -> ReleaseState:
        """Ends the canary, or gives the traffic back to the champion before this one."""
        return self.versions.roll_back(reason)

    @cached_property
    def predictor(self) -> Predictor:
        """What answers; `refresh` brings it to the ledger's route table."""
        from everfit.serving.masking import row_mask
        from everfit.serving.metrics import ServingMetrics
        from everfit.serving.predictor import Predictor
        from everfit.serving.tallies import Tallies

        ports, data = self.ports, self.project.data
        mask = row_mask(data.personal, data.key.get_secret_value() if data.key else None)
        metrics = ServingMetrics(Tallies(self.tallies))
        return Predictor(ports.log, online=ports.online, mask=mask, metrics=metrics, now=self.clock)

    @cached_property
    def replica(self) -> Replica:
        """What keeps the predictor on the ledger's route table."""
        from everfit.flow.replica import Replica
        from everfit.flow.standby import Standby

        ports, trusted = self.ports, self.project.training.trusted
        return Replica(self.predictor, lambda: ports.state, ports.artifacts, Standby(ports.folder), trusted)

    def refresh(self) -> bool:
        """Loads what the ledger routes to, if that changed; true when it did."""
        return self.replica.refresh()

    def predict(self, table: Table) -> pl.DataFrame:
        """A prediction for each row of a polars or pandas DataFrame, an Arrow table or a list of dicts, in order; all
        of them are in the prediction log afterwards."""
        from everfit.data.frames import frame
        from everfit.flow import scoring

        rows = frame(table)
        self.refresh()
        return scoring.predict(self.predictor, rows, self.project.serving.response.score)

    def label(self, table: Table, now: datetime | None = None) -> Labelled:
        """Stores truths about earlier predictions, from a table of any form that `predict` takes."""
        from everfit.data.frames import frame
        from everfit.flow import labels

        ports, rows = self.ports, _as_kept(self.project.data, frame(table))
        manifest = _manifest(self, ledger.current(ports.state))
        if manifest is None:
            raise NotReady("nothing was predicted yet, so no label can belong to it", fix="run `everfit release`")
        target, window = self.project.data.target, self.project.monitoring.window
        reach = labels.Reach(self.project.data.time, target.delay or window)
        return labels.store(rows, ports.log, ports.labels, manifest, now or self.clock(), reach)

    def monitor(self, now: datetime | None = None, forced: bool = False) -> MonitorReport:
        """Looks at production, sends the alarms that are new, decides; acting on the decision is `retrain`'s."""
        from everfit.flow import alerting, missing, monitoring, schedule, tracking

        ports = self.ports
        found, manifest = watched(self)
        now = now or self.clock()
        report = monitoring.look(found, manifest, now, forced)
        alerting.settle(report, ports.state, now)
        alerting.send(report.alarms, ports.channels, ports.state, self.progress, now)
        plans = schedule.plans(self.project.schedule).values()
        missing.watch(plans, ports.channels, ports.state, self.progress, now)
        _push(self)
        if self.project.monitoring.track:
            tracking.track(wiring.tracker(ports), report, ports.state, self.progress)
        return report

    def retrain(self, decision: Decision, stopped: Callable[[], bool] = lambda: False) -> Retraining:
        """Acts on a decision: trains on what the source holds now, and releases what passes its gates. A failure is
        recorded, sent as an alarm, and leaves the champion where it is; but not one while the process is being
        `stopped`, for that retraining is to be gone on with."""
        from everfit.flow import alerting, retraining

        state = self.ports.state
        done = retraining.act(state, decision, lambda since: self.run(since=since).version, self.release, stopped)
        alerting.send(retraining.failure(done), self.ports.channels, state, self.progress)
        return done


def ingest(workspace: Workspace) -> tuple[DatasetVersion, QualityReport]:
    """Reads the source, checks it and gives it its version, as the beginning of a run does, which then finds it in the
    cache; what the checks find is kept, and told, as there. Raises ChecksFailed, SourceError and what else stopped it.
    """
    runner, graph, given = pipeline(workspace)

    def stopped(run: Run, error: EverfitError) -> None:
        _watch_quality(workspace, run)

    run = runner.run(graph.upto("dataset"), given, pipeline="data", stopped=stopped)
    _watch_quality(workspace, run)
    return run["dataset"], run["quality"]


def watched(workspace: Workspace) -> tuple[Watched, Manifest | None]:
    """What a look reads, and the champion's manifest, None while there is none. The ledger is read once for both: a
    promotion meanwhile must not hold one model's predictions against another's profile."""
    from everfit.flow import monitoring

    ports = workspace.ports
    answering = ledger.current(ports.state)
    found = monitoring.Watched(workspace.project, answering, ports.log, ports.labels, ports.state)
    return found, _manifest(workspace, answering)


def load(
    path: str | Path = "everfit.yaml", environment: str | None = None, progress: Progress | None = None
) -> Workspace:
    """Opens a project. ProjectError when the file is wrong."""
    return Workspace(load_project(path, environment), progress)


def cohorts(workspace: Workspace, by: By = "week") -> Cohorts:
    """The champion's predictions by day or week: how many are due, have a label, and how good they were. NotReady
    before the first release."""
    from everfit.flow import cohorts as found

    ports, release, now = workspace.ports, ledger.current(workspace.ports.state), workspace.clock()
    manifest = _manifest(workspace, release)
    if manifest is None or release.champion is None:
        raise NotReady("nothing was predicted yet", fix="run `everfit release`")
    since = now - workspace.project.monitoring.window - workspace.project.data.target.delay
    return found.cohorts(workspace.project, manifest, release.champion, ports.log, ports.labels, since, now, by)


def explainer(workspace: Workspace) -> Explainer:
    """What explains predictions of the log by the versions that answered them."""
    from everfit.flow import explaining
    from everfit.flow.standby import Standby
    from everfit.serving.explaining import Explainer

    ports, trusted, standby = workspace.ports, workspace.project.training.trusted, Standby(workspace.ports.folder)
    opened = explaining.opener(workspace.predictor, lambda: ports.state, standby, ports.artifacts, trusted)
    return Explainer(ports.log, opened)


def pipeline(workspace: Workspace, since: datetime | None = None) -> tuple[Runner, Graph, Mapping[str, Given]]:
    """The training of this project, on rows `since` then where that is given, and what runs it."""
    from everfit.flow import training
    from everfit.flow.run import Runner

    ports = workspace.ports
    ports.source  # noqa: B018  first, so that a project that names none leaves no file behind
    champion = ledger.champion(ports.state)
    rival = _rival(workspace, champion) if champion else None
    digest = champion.bundle_hash if champion else ""
    own = _functions(workspace.loaded)
    outside = wiring.outside(ports, own, workspace.author, workspace.clock, workspace.progress, rival, digest)
    runner = Runner(ports.artifacts, ports.state, workspace.progress, ports.folder / "scratch")
    project = workspace.project
    if since is not None:
        project = project.model_copy(update={"data": project.data.model_copy(update={"since": since})})
    return runner, *training.pipeline(project, outside)


def _manifest(workspace: Workspace, answering: ReleaseState) -> Manifest | None:
    """The champion's, None while there is none."""
    return None if answering.champion is None else _released(workspace, answering.champion)


def _gathering(workspace: Workspace) -> Gathering:
    if workspace.gathered is None:
        from everfit.flow.gathering import Gathering

        workspace.gathered = Gathering(workspace.ports.folder / "counts")
    return workspace.gathered


def _released(workspace: Workspace, version: int) -> Manifest:
    from everfit.flow import routes

    made = ledger.versions(workspace.ports.state)[version]
    return routes.load(made, workspace.ports.artifacts, workspace.project.training.trusted).manifest


def _watch_quality(workspace: Workspace, run: Run) -> None:
    """Keeps what the checks found in the run's table; once there is something in production, news is an alarm."""
    from everfit.flow import alerting, quality

    ports = workspace.ports
    look = quality.of_run(workspace.project, run, quality.champions(ports.state, ports.artifacts), workspace.clock())
    if look is not None:
        quality.remember(ports.state, look)
        if ledger.current(ports.state).champion is not None:
            alerting.after_run(look, ports.channels, ports.state, workspace.progress)


def _push(workspace: Workspace) -> None:
    """The metrics to the Pushgateway, where there is one; that it is away stops nothing."""
    url = workspace.project.monitoring.pushgateway
    if url is None:
        return
    from everfit.flow.observed import observed
    from everfit.serving.watch_metrics import push

    try:
        push(url, f"everfit-{workspace.project.name}", observed(workspace.ports.state))
    except EverfitError as error:
        workspace.progress.note(str(error))


def _as_kept(data: Data, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their entity as the prediction log has it, where that is personal."""
    from everfit.data import masking

    personal = {name: how for name, how in data.personal.items() if name == data.entity and name in rows.columns}
    return masking.mask(rows, personal, data.key.get_secret_value() if data.key else None)


def _rival(workspace: Workspace, champion: ModelVersion) -> Path | None:
    """The champion's bundle, to be compared with."""
    folder = workspace.ports.artifacts.get(champion.bundle_hash)
    if folder is None and workspace.project.gates.not_worse_than:
        # Without it the comparison would pass as if there were no champion.
        raise StorageError(
            f"the bundle of version {champion.version} is missing or was changed on disk, so no model can be compared "
            "with the one in production",
            where=f"artifact {champion.bundle_hash[:12]}",
            fix="go back with `everfit rollback`, or train without the comparison: --set gates.not_worse_than=null",
        )
    return folder


def _user() -> str:
    if named := os.environ.get("EVERFIT_USER"):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"user {os.getuid()}"


def _functions(loaded: Loaded) -> Functions:
    """The user's functions; none where the file is absent and nobody named it."""
    from everfit.features.functions import load as load_functions

    features = loaded.project.features
    path = loaded.root / features.file
    if not path.is_file() and "file" not in features.model_fields_set:
        return load_functions("", path.name)
    try:
        return load_functions(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        fix = "correct the path, or leave `features.file` out" if isinstance(error, OSError) else "save it as UTF-8"
        raise ProjectError(f"cannot be read: {what}", where=str(path), fix=fix) from error
