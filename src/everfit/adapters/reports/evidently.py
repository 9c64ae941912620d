"""Evidently's report of two windows, made by Evidently itself in an environment of its own: it needs an older pandas.

No extra; `monitoring.evidently.python` names the Python of an environment that has `evidently`, and without it one is
made once, by uv where there is one, else by venv and pip. The windows travel as Parquet, and the page loads nothing.
Limits: numbers and levels only; some seconds to import Evidently.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from everfit.errors import MissingExtra, StorageError

VERSION = "0.7.23"
_PACKAGES = (f"evidently=={VERSION}", "pandas<3", "pyarrow")
_SCRIPT = Path(__file__).with_name("evidently_script.py")
_PATIENCE = 1800  # seconds; an environment is some hundred megabytes to load, once


@dataclass(frozen=True, slots=True)
class EvidentlyConfig:
    """`python` of an environment that has Evidently, or None and the folder `home` in which one is made."""

    python: str | None
    home: Path


@dataclass(frozen=True, slots=True)
class EvidentlyReports:
    """A DriftPage by Evidently."""

    config: EvidentlyConfig

    def write(self, reference: pl.DataFrame, current: pl.DataFrame, page: Path) -> None:
        """Writes the page about the same columns of both tables. MissingExtra where Evidently cannot be had,
        StorageError where it fails."""
        python = self.config.python or str(installed(self.config.home / f"evidently-{VERSION}"))
        levels = [name for name, kind in reference.schema.items() if kind == pl.String]
        page.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="everfit-evidently-", dir=page.parent) as folder:
            sides = [Path(folder) / f"{name}.parquet" for name in ("reference", "current")]
            for table, path in zip((reference, current), sides, strict=True):
                table.write_parquet(path)
            made = Path(folder) / "page.html"
            # Isolated, for beside the script lies this module, of the very name that it imports.
            _run([python, "-I", "-W", "ignore", str(_SCRIPT), *map(str, sides), str(made), *levels], "Evidently failed")
            made.replace(page)


def installed(home: Path) -> Path:
    """The Python of the environment, which is made where it is not yet. MissingExtra where it cannot be."""
    python, done = home / "bin" / "python", home / ".done"
    if done.is_file():
        return python
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    try:
        if uv:
            _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(home)], "uv failed")
            _run([uv, "pip", "install", "--quiet", "--python", str(python), *_PACKAGES], "uv failed")
        else:
            _run([sys.executable, "-m", "venv", str(home)], "venv failed")
            _run([str(python), "-m", "pip", "install", "--quiet", *_PACKAGES], "pip failed")
    except StorageError as error:
        raise MissingExtra(
            f"Evidently is not installed, and could not be: {error.what}",
            where="monitoring.evidently.python",
            fix=f"make an environment with {' '.join(_PACKAGES)} and name its Python in monitoring.evidently.python",
        ) from error
    done.touch()
    return python


def _run(command: list[str], problem: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603  its own commands
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"{problem}: {error}", where=command[0], fix="see that it can be run from here") from error
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StorageError(f"{problem}: {last}", where=command[0], fix="see that its environment has what it needs")
