"""A project's settings to concrete adapters: the only module that knows them, and each only when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from everfit.ports import (
    AlertChannel,
    ArtifactStore,
    DriftPage,
    Executor,
    LabelStore,
    OnlineStore,
    PredictionLog,
    Progress,
    Registry,
    Source,
    StateStore,
    Target,
    Tracker,
)
from everfit.project.load import Loaded
from everfit.project.sections.training import Training
from everfit.wiring.channels import channels
from everfit.wiring.sources import source

# What `everfit export` knows, each the exporter of that name, with what it says of it.
PLATFORMS = {"prometheus": "A scrape configuration and alerting rules"}
Exporter = Callable[["Project", "Graph"], Mapping[str, str]]

if TYPE_CHECKING:
    from everfit.adapters.registries.mlflow_client import MlflowConfig
    from everfit.features.functions import Functions
    from everfit.flow.bell import Bell
    from everfit.flow.graph import Graph
    from everfit.flow.training import Outside
    from everfit.project.sections.root import Project

# Seconds that two workers take to import what they compute with, about.
_WORKERS_COST = 6.0


@dataclass(frozen=True)
class Ports:
    """The adapters of one project in one environment; nothing is shared between environments.

    What is stored on this machine lies below `folder`, `.everfit/ENVIRONMENT` beside the project file."""

    loaded: Loaded

    @property
    def folder(self) -> Path:
        """Where this environment keeps its state."""
        return self.loaded.root / ".everfit" / self.loaded.environment

    @cached_property
    def source(self) -> Source:
        """The table to learn from."""
        return source(self.loaded.root, self.loaded.project.data.source)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Step outputs and bundles."""
        from everfit.adapters.artifacts.folder import FolderArtifacts

        return FolderArtifacts(self.folder / "artifacts")

    @cached_property
    def state(self) -> StateStore:
        """Runs, ledger, looks, alarms; the servers of this machine hear of what concerns them at once."""
        from everfit.flow import keys, ledger
        from everfit.flow.bell import Announced

        return Announced(_state(self.loaded, self.folder), bell(self).ring, frozenset({ledger.STREAM, keys.STREAM}))

    @cached_property
    def registry(self) -> Registry:
        """Experiments and versions."""
        from everfit.adapters.registries.mlflow import MlflowRegistry

        return MlflowRegistry(_mlflow(self))

    @cached_property
    def online(self) -> OnlineStore:
        """The newest raw row of each entity."""
        from everfit.adapters.features.sqlite import SqliteOnline

        return SqliteOnline(self.folder / "online.db")

    @cached_property
    def labels(self) -> LabelStore:
        """Truths that arrived."""
        from everfit.adapters.labels.sqlite import SqliteLabels

        return SqliteLabels(self.folder / "labels.db")

    @cached_property
    def log(self) -> PredictionLog:
        """Every prediction answered."""
        from everfit.serving.log import JsonLinesLog
        from everfit.serving.segments.compaction import Keep

        settings = self.loaded.project.serving.log
        keep = Keep(settings.keep, settings.size)
        return JsonLinesLog(self.folder / "predictions", fsync=settings.fsync, keep=keep)

    @cached_property
    def executor(self) -> Executor:
        """Where trials run."""
        return executor(self.loaded, self.loaded.project.training.executor)

    @cached_property
    def channels(self) -> Mapping[str, AlertChannel]:
        """Where alarms go, by name: the kind, and a number where there are several of one."""
        return channels(self.loaded.project)


def bell(ports: Ports) -> Bell:
    """What wakes the servers of this machine."""
    from everfit.flow.bell import Bell

    return Bell(ports.folder / "bell")


def tracking_uri(ports: Ports) -> str:
    """Where MLflow's clients find the store."""
    default = f"sqlite:///{(ports.folder / 'mlflow.db').absolute()}"
    return ports.loaded.project.backends.tracking or default


def tracker(ports: Ports) -> Tracker:
    """Where the figures of the looks go."""
    from everfit.adapters.registries.mlflow_monitoring import MlflowTracker

    return MlflowTracker(_mlflow(ports))


def evidently(ports: Ports) -> DriftPage:
    """Evidently's report."""
    from everfit.adapters.reports.evidently import EvidentlyConfig, EvidentlyReports

    python = ports.loaded.project.monitoring.evidently.python
    return EvidentlyReports(EvidentlyConfig(python, ports.loaded.root / ".everfit" / "environments"))


def _mlflow(ports: Ports) -> MlflowConfig:
    from everfit.adapters.registries.mlflow_client import MlflowConfig

    project, uri = ports.loaded.project, tracking_uri(ports)
    local = uri.startswith("sqlite:///")
    return MlflowConfig(
        uri=uri,
        experiment=project.backends.experiment or project.name,
        model=project.backends.model or project.name,
        artifacts=(ports.folder / "mlartifacts").absolute().as_uri() if local else None,
        tags={"environment": ports.loaded.environment, **project.backends.tags},
    )


def exporter(platform: str) -> Exporter:
    """What writes the files for a platform, of `PLATFORMS`."""
    found: Exporter = import_module(f"everfit.exporters.{platform}").export
    return found


def begun(ports: Ports) -> bool:
    """Whether anything may be stored yet; where not, a command that only reads leaves no file behind."""
    return ports.loaded.project.backends.state is not None or ports.folder.is_dir()


def target(loaded: Loaded) -> Target | None:
    """Where what is released is copied to, if anywhere."""
    settings = loaded.project.release.target
    if settings is None:
        return None
    from everfit.adapters.targets.folder import FolderTarget, FolderTargetConfig

    return FolderTarget(FolderTargetConfig(loaded.root / settings.folder))


def outside(
    ports: Ports,
    functions: Functions,
    author: str,
    clock: Callable[[], datetime],
    progress: Progress,
    champion: Path | None = None,
    digest: str = "",
) -> Outside:
    """What a training takes from outside the project file; `champion` is the bundle to compare with, of that digest."""
    from everfit.flow.training import Outside

    return Outside(
        source=ports.source,
        functions=functions,
        champion=champion,
        champion_digest=digest,
        executor=ports.executor,
        progress=progress,
        registry=ports.registry,
        artifacts=ports.artifacts,
        state=ports.state,
        author=author,
        cores=cores(),
        clock=clock,
    )


def executor(loaded: Loaded, name: str, where: str = "training.executor") -> Executor:
    """The executor of that name, in the words of `training.executor`; `where` is who names it, for messages."""
    training = loaded.project.training
    if name == "serial":
        from everfit.adapters.executors.serial import SerialExecutor

        return SerialExecutor()
    if name.startswith("ray"):
        return _ray(training, name, loaded.root, where)
    from everfit.adapters.executors.processes import ProcessesExecutor

    return ProcessesExecutor(training.workers or cores(), _WORKERS_COST)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _state(loaded: Loaded, folder: Path) -> StateStore:
    address = loaded.project.backends.state
    if address is not None:
        from everfit.adapters.state.postgres import PostgresConfig, PostgresState

        space = f"{loaded.project.name}/{loaded.environment}"
        return PostgresState(PostgresConfig(address.get_secret_value(), space))
    from everfit.adapters.state.sqlite import SqliteState

    return SqliteState(folder / "state.db")


def _ray(training: Training, name: str, root: Path, where: str) -> Executor:
    from everfit.adapters.executors.ray import RayExecutor

    address = os.environ.get("RAY_ADDRESS", "local") if name == "ray" else name
    # What lies beside the project file and holds its own estimators.
    beside = [root / name for own in training.trusted for top in [own.partition(".")[0]] for name in (top, f"{top}.py")]
    modules = dict.fromkeys(str(path.absolute()) for path in beside if path.exists())
    return RayExecutor(address, training.workers, tuple(modules), where)
