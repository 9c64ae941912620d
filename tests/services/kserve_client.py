"""KServe's own client, in an environment of its own: it wants an older pandas than everfit's tests have.

The environment is made once beside this one, by the same installer, and kept.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from functools import cache
from pathlib import Path

VERSION = "0.21.0"
_HOME = Path(sys.prefix) / "clients" / f"kserve-{VERSION}"
_UV = Path(sys.prefix) / "bin" / "uv"
_DEADLINE = 600


@cache
def absent() -> str:
    """Why the client cannot be had here; empty when it can, and then it stands ready."""
    if not _UV.is_file():
        return f"KServe's client is not installed: there is no {_UV.name} beside this Python to install it with"
    _HOME.parent.mkdir(parents=True, exist_ok=True)
    # Beside the environment: the installer has a lock of its own in it.
    with _HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _HOME / ".done"
        if done.is_file():
            return ""
        for command in (
            ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(_HOME)],
            ["pip", "install", "--quiet", "--python", str(python()), f"kserve=={VERSION}"],
        ):
            ran = subprocess.run([str(_UV), *command], capture_output=True, text=True, timeout=_DEADLINE, check=False)
            if ran.returncode:
                return f"KServe's client is not installed, and could not be: {ran.stderr.strip()[-300:]}"
        done.touch()
    return ""


def python() -> Path:
    """The interpreter that can import `kserve`."""
    return _HOME / "bin" / "python"


def run(script: str, *arguments: str) -> str:
    """What a script of its own prints. Raises CalledProcessError where it fails."""
    command = [str(python()), "-W", "ignore", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE, check=True).stdout
