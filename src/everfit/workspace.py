"""An opened project with the verbs of the command line, for notebooks and tests.

    project = everfit.load("everfit.yaml")
    run = project.run()
    project.release(run.version)
    project.predict(frame)
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from everfit import wiring
from everfit.data import masking
from everfit.errors import EverfitError, NotReady
from everfit.features import functions as feature_functions
from everfit.flow import labels, ledger, monitoring, release, routes, scoring, training
from everfit.flow.run import Run, Runner, setting
from everfit.ports import Progress
from everfit.project.load import Loaded
from everfit.records.codec import encode
from everfit.records.model import Candidate, Evaluation, GateReport, ModelVersion
from everfit.records.release import LedgerEvent, ReleaseState, Verdict
from everfit.records.table import QualityReport
from everfit.records.watch import Alarm, AlarmKind, Decision, MonitorReport, Retraining
from everfit.serving.predictor import Predictor


class Silent:
    """Nobody is told."""

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Trained:
    """What a training run came to."""

    run: Run
    version: int

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every family's best setting, best first."""
        found = [self.run[s.name] for s in self.run.record.steps if s.name.startswith("candidate_")]
        return tuple(sorted(found, key=lambda c: -c.score))

    @property
    def evaluation(self) -> Evaluation:
        """The metrics of the chosen model."""
        found: Evaluation = self.run["evaluation"]
        return found

    @property
    def gates(self) -> GateReport:
        """What every gate observed and required."""
        found: GateReport = self.run["gates"]
        return found

    @property
    def quality(self) -> QualityReport:
        """The result of every check on the data."""
        found: QualityReport = self.run["quality"]
        return found

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each step took when it was last really run."""
        return {s.name: s.seconds for s in self.run.record.steps}


class Workspace:
    """A project in one environment. `author` is written into the ledger."""

    def __init__(self, loaded: Loaded, progress: Progress | None = None, author: str | None = None) -> None:
        self.loaded = loaded
        self.project = loaded.project
        self.ports = wiring.Ports(loaded)
        self.progress: Progress = progress or Silent()
        self.author = author or getpass.getuser()
        root = str(loaded.root.absolute())
        if root not in sys.path:  # estimators by dotted path live beside the project file
            sys.path.insert(0, root)

    @property
    def trusted(self) -> tuple[str, ...]:
        """The types that a bundle of this project may hold beyond scikit-learn's: its own estimators."""
        return tuple(choice.estimator for choice in self.project.training.models if choice.estimator)

    def run(self, use_cache: bool = True) -> Trained:
        """Trains, gates and registers. Raises what stopped it; finished steps are kept either way."""
        champion = self._champion()
        outside = training.Outside(
            source=self.ports.source,
            functions=self._functions(),
            champion=self.ports.artifacts.get(champion.bundle_hash) if champion else None,
            champion_digest=champion.bundle_hash if champion else "",
            executor=self.ports.executor,
            registry=self.ports.registry,
            artifacts=self.ports.artifacts,
            state=self.ports.state,
            author=self.author,
            cores=wiring.cores(),
        )
        graph, given = training.pipeline(self.project, outside)
        runner = Runner(self.ports.artifacts, self.ports.state, self.progress, self.ports.folder / "scratch")
        run = runner.run(graph, given, pipeline="training", use_cache=use_cache)
        scoring.materialize(self.ports.online, self.ports.state, run, self.project.data)
        return Trained(run, run["version"].version)

    def release(self, version: int | None = None, force: bool = False) -> ReleaseState:
        """Brings a version, or the newest, in front of traffic by the project's strategy."""
        return self._mirrored(release.start(self.ports.state, self.project.release, self.author, version, force))

    def look(self, now: datetime | None = None) -> tuple[Verdict | None, ReleaseState]:
        """Judges the canary under way, if there is one, and acts on the verdict."""
        before = ledger.current(self.ports.state)
        found, after = release.look(self.ports.state, self.ports.log, self.project.release, self.author, now)
        return found, after if after == before else self._mirrored(after)

    def rollback(self, reason: str = "rolled back by hand") -> ReleaseState:
        """Ends the canary, or gives the traffic back to the champion before this one."""
        return self._mirrored(release.roll_back(self.ports.state, self.author, reason))

    @cached_property
    def predictor(self) -> Predictor:
        """What answers, on the ledger's route table; `routes.refresh` brings it up to date."""
        data = self.project.data
        key = data.key.get_secret_value() if data.key else None
        mask = partial(masking.mask_row, personal=data.personal, key=key)
        predictor = Predictor(self.ports.log, online=self.ports.online, mask=mask)
        routes.refresh(predictor, self.ports.state, self.ports.artifacts, self.trusted)
        return predictor

    def predict(self, table: pl.DataFrame) -> pl.DataFrame:
        """A prediction for each row, in order; all of them are in the prediction log afterwards."""
        routes.refresh(self.predictor, self.ports.state, self.ports.artifacts, self.trusted)
        return scoring.predict(self.predictor, table, self.project.serving.response.score)

    def label(self, table: pl.DataFrame, now: datetime | None = None) -> labels.Labelled:
        """Stores truths about earlier predictions."""
        data = self.project.data
        found = self.ports.log.read()
        return labels.store(table, found, self.ports.labels, data.target.column, data.entity, now)

    def monitor(self, now: datetime | None = None, forced: bool = False) -> MonitorReport:
        """Looks at production, sends the alarms that are new, decides; acting on the decision is `retrain`'s."""
        champion = self._champion()
        manifest = routes.load(champion, self.ports.artifacts, self.trusted).manifest if champion else None
        state = ledger.current(self.ports.state)
        watched = monitoring.Watched(self.project, state, self.ports.log, self.ports.labels, self.ports.state)
        report = monitoring.look(watched, manifest, now, forced)
        self._send(report.alarms)
        return report

    def retrain(self, decision: Decision) -> Retraining:
        """Acts on a decision: trains on what the source holds now, and releases what passes its gates."""
        reason = "; ".join(decision.reasons)
        done = Retraining(decision.at, False, reason)
        if decision.retrain:
            done = self._retrained(decision.at, reason)
            self.ports.state.append(monitoring.RETRAININGS, encode(done))
        return done

    def history(self) -> Sequence[LedgerEvent]:
        """Everything that happened to versions, oldest first."""
        return ledger.events(self.ports.state)
