"""`everfit doctor` finds what is wrong with the machine and the project, and fails only for what stops it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import time
from importlib import metadata
from pathlib import Path

import pytest
from tests.unit.cli_project import SETTINGS, call, project, register

from everfit.cli import checkup, doctor
from everfit.cli.checkup import Finding

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def few_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing all of them once is enough."""
    monkeypatch.setattr(metadata, "requires", lambda name: ["click>=8.1"])


def found(path: Path | None = None) -> dict[str, Finding]:
    return {one.name: one for one in doctor.findings(path, None)}


def test_this_machine_passes_with_every_package() -> None:
    findings = checkup.packages(metadata.requires("everfit") or [])
    assert len(findings) > 10
    assert {one.name: one.found for one in findings if one.level == "fail"} == {}


def test_outside_a_project_it_works_and_names_init(
    few_packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(capsys, "doctor")
    assert answer.code == 0
    assert "everfit init" in answer.out
    assert "Nothing failed" in answer.out
    assert list(tmp_path.iterdir()) == []


def test_a_healthy_project_passes_and_nothing_is_made(
    few_packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    ports = project(tmp_path, monkeypatch)
    answer = call(capsys, "doctor", "--json")
    findings = {one["name"]: one["level"] for one in answer.json["findings"]}
    assert (answer.code, answer.json["healthy"]) == (0, True)
    assert {findings[name] for name in ("file", "source", "models", "folder", "disk", "clock", "port")} == {"ok"}
    assert (findings["features"], findings["ledger"]) == ("absent", "absent")
    assert not ports.folder.exists()


def test_a_wrong_project_file_fails_with_the_way_out(
    few_packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    project(tmp_path, monkeypatch)
    Path("everfit.yaml").write_text(SETTINGS + "trainin: {}\n")
    answer = call(capsys, "doctor")
    assert answer.code == doctor.FAILED
    assert "did you mean" in answer.out
    assert "1 failed" in answer.out


def test_a_project_file_that_is_named_and_missing_fails(
    few_packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "doctor", "-p", "no.yaml").code == doctor.FAILED


def test_what_is_wrong_with_a_project_is_found(
    few_packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = project(tmp_path, monkeypatch, SETTINGS.replace("logistic", "logstic"))
    Path("customers.csv").unlink()
    Path("features.py").write_text("def broken(:\n")
    register(ports, 1)
    register(ports, 2)
    with sqlite3.connect(ports.folder / "state.db") as connection:
        connection.execute("UPDATE documents SET document = replace(document, 'ann', 'eve') WHERE number = 1")
    connection.close()
    levels = {name: one.level for name, one in found(Path("everfit.yaml")).items()}
    assert {name: levels[name] for name in ("source", "features", "models", "ledger")} == {
        "source": "warn",
        "features": "fail",
        "models": "fail",
        "ledger": "fail",
    }


@pytest.mark.parametrize(
    ("requirement", "level", "said"),
    [
        ("click>=8.1", "ok", ""),
        ("click>=999.0", "fail", "older than 999.0"),
        ("no-such-package>=1", "fail", "not installed"),
        ('no-such-package>=1; extra == "fast"', "absent", "not installed"),
    ],
)
def test_packages_are_judged_by_their_version(requirement: str, level: str, said: str) -> None:
    (one,) = checkup.packages([requirement])
    assert one.level == level
    assert said in one.found


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is installed and cannot be imported; what its module does is for the test to write."""
    info = tmp_path / "everbroken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: everbroken\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "everbroken.py"


@pytest.mark.parametrize(
    ("text", "said"),
    [("raise OSError('libgomp.so.1: no such file')", "OSError: libgomp"), ("import os\nos.abort()", "crashed")],
)
def test_a_package_that_cannot_be_imported_fails_and_the_others_do_not(broken: Path, text: str, said: str) -> None:
    broken.write_text(text)
    levels = {one.name: one for one in checkup.packages(["everbroken>=1.0", "click>=8.1"])}
    assert said in levels["everbroken"].found
    assert (levels["everbroken"].level, levels["click"].level) == ("fail", "ok")


def test_a_taken_port_is_a_warning() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert checkup.port("127.0.0.1", server.getsockname()[1]).level == "warn"
    assert checkup.port("127.0.0.1", 0).level == "ok"


def test_a_file_from_the_future_means_a_late_clock(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    assert checkup.clock([path, tmp_path / "missing"]).level == "ok"
    later = time.time() + 86_400
    os.utime(path, (later, later))
    assert checkup.clock([path]).level == "warn"


@pytest.mark.parametrize(("free", "level"), [(10**6, "fail"), (10**9, "warn"), (10**11, "ok")])
def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, level: str) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert checkup.disk(tmp_path / "not" / "yet").level == level


def test_a_folder_that_takes_no_file_fails(tmp_path: Path) -> None:
    assert checkup.writable("Project", tmp_path / "new").level == "ok"
    assert checkup.writable("Project", Path("/proc/self")).level == "fail"
    assert list(tmp_path.iterdir()) == []


def test_tools_that_are_not_there_are_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    levels = {one.name: one.level for one in checkup.tools()}
    assert levels.pop("git") == "warn"
    assert set(levels.values()) == {"absent"}


def test_a_tool_says_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "git"
    tool.write_text("#!/bin/sh\necho git version 9.9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert next(checkup.tools()).found == "git version 9.9"
