"""What is released is delivered as files, by the commands of a release, and comes back with a rollback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.unit.cli_project import SETTINGS, call, project, register
from tests.unit.test_cli_rollback import Told

from everfit.adapters import content
from everfit.flow import ledger
from everfit.versions import tell
from everfit.wiring import Ports
from everfit.workspace import load

Capture = pytest.CaptureFixture[str]
DELIVERED = SETTINGS.replace(
    "release: canary\n",
    "release: {strategy: immediate, target: {folder: deploy/dev}}\n"
    "environments: {production: {release: {target: {folder: deploy/production}}}}\n",
)


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Versions 1 and 2 are registered."""
    monkeypatch.setattr(Ports, "registry", Told())
    made = project(tmp_path, monkeypatch, DELIVERED)
    for version in (1, 2):
        register(made, version, real=True)
    return made


def current(folder: str = "deploy/dev") -> str:
    return str(json.loads(Path(folder, "current.json").read_text())["name"])


def test_a_release_delivers_the_bundle_under_a_name_of_model_and_version(ports: Ports, capsys: Capture) -> None:
    assert call(capsys, "release", "1").code == 0
    assert current() == "churn-v1"
    made = ledger.versions(ports.state)[1]
    place = Path("deploy/dev/churn-v1")
    assert content.digest(place, content.files(place)) == made.bundle_hash


def test_a_rollback_moves_the_pointer_back_even_where_the_bundle_is_gone_from_the_store(
    ports: Ports, capsys: Capture
) -> None:
    for version in ("1", "2"):
        call(capsys, "release", version)
    assert current() == "churn-v2"
    shutil.rmtree(ports.folder / "artifacts")
    assert call(capsys, "rollback").code == 0
    assert current() == "churn-v1"


def test_environments_deliver_apart(ports: Ports, capsys: Capture) -> None:
    register(Ports(load("everfit.yaml", "production").loaded), 1)
    call(capsys, "release", "2")
    call(capsys, "release", "1", "--env", "production")
    assert (current(), current("deploy/production")) == ("churn-v2", "churn-v1")


def test_a_target_that_cannot_be_written_is_told_after_the_release_and_made_up_for(
    ports: Ports, capsys: Capture
) -> None:
    Path("deploy").write_text("no folder")
    refused = call(capsys, "release", "1")
    assert refused.code == 8
    assert "the model cannot be delivered" in refused.err
    assert ledger.current(ports.state).champion == 1
    Path("deploy").unlink()
    tell(load("everfit.yaml"))
    assert current() == "churn-v1"


def test_what_nobody_needs_any_more_is_removed(ports: Ports, capsys: Capture) -> None:
    register(ports, 3, real=True)
    for version in ("1", "2", "3"):
        call(capsys, "release", version)
    assert sorted(path.name for path in Path("deploy/dev").glob("churn-*")) == ["churn-v2", "churn-v3"]
