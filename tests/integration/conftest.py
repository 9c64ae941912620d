"""Projects for every integration test: trained once, and copied for each test that changes one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration import projects
from tests.integration.projects import SmallProject


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., SmallProject]:
    """Makes a project that was never run: `project(rows=600, settings=YAML)`."""

    def make(rows: int = 800, settings: str = projects.SETTINGS, name: str = "project") -> SmallProject:
        return projects.write(tmp_path / name, rows, settings)

    return make


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    made = projects.write(tmp_path_factory.mktemp("trained") / "project", settings=projects.SETTINGS + projects.CHECKS)
    outcome = made.call("run")
    assert outcome.code == 0, outcome.err
    return made


@pytest.fixture
def trained(_trained: SmallProject, tmp_path: Path) -> SmallProject:
    """A copy of a project whose version 1 is registered and not yet released."""
    shutil.copytree(_trained.folder, tmp_path / "trained")
    return SmallProject(tmp_path / "trained")


@pytest.fixture
def released(trained: SmallProject) -> SmallProject:
    """The same with version 1 as champion."""
    trained.open().release()
    return trained
