"""What `everfit doctor` looks at on the machine: Python, packages, disk, clock, port, tools."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

PYTHON = (3, 11)
# Below the first a run may not finish, below the second not the next one.
_LEAST, _SCARCE = 200_000_000, 2_000_000_000
_CLOCK = 120.0  # seconds that a file may seem to come from the future
_MODULES = {
    "grpcio": "grpc",
    "protobuf": "google.protobuf",
    "psycopg2-binary": "psycopg2",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "xgboost-cpu": "xgboost",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:[^;]*?>=([0-9.]+))?(?:.*extra == ['\"](\w+)['\"])?")
_TOOLS = {
    "git": (("--version",), "keeps the history of everfit.yaml and features.py"),
    "make": (("--version",), "runs the targets of a checkout"),
    "docker": (("--version",), "builds and runs images"),
    "kubectl": (("version", "--client"), "talks to Kubernetes"),
    "helm": (("version", "--short"), "installs charts on Kubernetes"),
    "terraform": (("version",), "makes cloud infrastructure"),
}

Level = Literal["ok", "absent", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `absent` is what is not there and not needed; `fix` is what to do, empty when nothing."""

    area: str
    name: str
    level: Level
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A requirement of everfit; `extra` is empty for those that it always needs."""

    name: str
    least: str
    extra: str

    @property
    def module(self) -> str:
        """What is imported."""
        return _MODULES.get(self.name, self.name.replace("-", "_"))


def python() -> Finding:
    """The interpreter that runs this."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < PYTHON:
        return Finding("Python", "version", "fail", found, "install Python 3.11 or newer and make the environment anew")
    return Finding("Python", "version", "ok", found)


def packages(required: Iterable[str]) -> list[Finding]:
    """Each requirement (`click>=8.1`), imported in another process so that one which crashes is a finding too."""
    known = [_package(requirement) for requirement in required]
    installed = {package.name: _version(package.name) for package in known}
    broken = _broken([package.module for package in known if installed[package.name]])
    return [_judged(one, installed[one.name], broken.get(one.module, "")) for one in known]


def _package(requirement: str) -> Package:
    """The requirement taken apart.

    >>> _package("xgboost-cpu>=3.0; extra == 'xgboost'")
    Package(name='xgboost-cpu', least='3.0', extra='xgboost')
    >>> _package("granian<3,>=2.5")
    Package(name='granian', least='2.5', extra='')
    """
    match = _REQUIREMENT.match(requirement)
    return Package(*match.groups("")) if match else Package(requirement, "", "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _judged(one: Package, version: str, broken: str) -> Finding:
    name = f'"everfit[{one.extra}]"' if one.extra else f'"{one.name}>={one.least}"'
    install = f"pip install {name}"
    area = "Optional packages" if one.extra else "Packages"
    if not version:
        level: Level = "absent" if one.extra else "fail"
        return Finding(area, one.name, level, "not installed", f"{install}, if you need {one.extra}"
                       if one.extra else install)  # fmt: skip
    if broken:
        return Finding(
            area, one.name, "fail", f"{version} cannot be imported: {broken}", f"{install} --force-reinstall"
        )
    if _order(version) < _order(one.least):
        return Finding(area, one.name, "fail", f"{version} is older than {one.least}", f"{install} --upgrade")
    return Finding(area, one.name, "ok", version)


def _order(version: str) -> tuple[int, ...]:
    """The release as numbers.

    >>> _order("2.10.1rc1") > _order("2.9")
    True
    """
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release.group().split("."))) if release else ()


def _broken(modules: list[str]) -> dict[str, str]:
    """The modules that cannot be imported, with the reason."""
    try:
        with _pool(2) as pool:
            tried = {name: pool.submit(imported, name) for name in modules}
            return {name: why for name, future in tried.items() if (why := future.result())}
    except BrokenProcessPool:
        return {name: why for name in modules if (why := _alone(name))}


def _alone(module: str) -> str:
    with _pool(1) as pool:
        future: Future[str] = pool.submit(imported, module)
        try:
            return future.result()
        except BrokenProcessPool:
            return "the process crashed; it was built for another processor or system"


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def imported(module: str) -> str:
    """Why the module cannot be imported; empty when it can."""
    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001  a broken package raises whatever it likes
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""


def disk(folder: Path) -> Finding:
    """The room left where the state is kept, or will be."""
    free = shutil.disk_usage(existing(folder)).free
    found = f"{free / 1e9:.1f} GB free at {existing(folder)}"
    if free < _LEAST:
        return Finding("Machine", "disk", "fail", found, "free disk space: nothing can be stored, and nothing answered")
    fix = "free disk space: predictions and models need it" if free < _SCARCE else ""
    return Finding("Machine", "disk", "warn" if fix else "ok", found, fix)


def writable(area: str, folder: Path) -> Finding:
    """Whether the folder, or where it would be made, takes a file."""
    place = existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".everfit-"):
            pass
    except OSError as error:
        fix = f"make it writable for this user, or work in another folder: chmod u+w {place}"
        return Finding(area, "folder", "fail", f"{place} takes no file: {error.strerror}", fix)
    return Finding(area, "folder", "ok", f"{folder} is writable" if place == folder else f"{folder} can be made")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def clock(files: Iterable[Path]) -> Finding:
    """Whether the clock is behind what was written already: windows and cooldowns go by it."""
    now = time.time()
    newest = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    found = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC"
    if newest > now + _CLOCK:
        late = f"{found}, {newest - now:.0f} s behind the newest file"
        return Finding("Machine", "clock", "warn", late, "set the clock: windows, cooldowns and deadlines go by it")
    return Finding("Machine", "clock", "ok", found)


def port(host: str, number: int) -> Finding:
    """Whether `everfit serve` can listen there."""
    try:
        with socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return Finding("Machine", "port", "ok", f"{host}:{number or 'any'} is free")
    except OSError as error:
        fix = "fine if that is `everfit serve`; otherwise choose another with serving.port, or 0 for any free one"
        return Finding("Machine", "port", "warn", f"{host}:{number}: {os.strerror(error.errno or 0)}", fix)


def system() -> Finding:
    """The machine; a Windows that is not WSL cannot be used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{platform.system()} {platform.machine()}, {cores} cores"
    if os.name != "posix":
        return Finding("Machine", "system", "fail", found, "use Linux, macOS or the Windows Subsystem for Linux")
    return Finding("Machine", "system", "ok", found)


def tools() -> Iterator[Finding]:
    """Programs that are useful beside everfit; none of them is needed by it."""
    for name, (arguments, use) in _TOOLS.items():
        path = shutil.which(name)
        if path is None and name == "git":
            yield Finding("Tools", name, "warn", "not installed", f"install it: it {use}")
        elif path is None:
            yield Finding("Tools", name, "absent", f"not installed; {use}")
        else:
            yield Finding("Tools", name, "ok", _told(path, arguments))


def _told(path: str, arguments: tuple[str, ...]) -> str:
    """The first line that the program says about its version, or its path."""
    try:
        done = subprocess.run(  # noqa: S603  a name from the list above, found on PATH; no shell
            [path, *arguments], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return path
    return done.stdout.strip().partition("\n")[0] or path
