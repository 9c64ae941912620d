"""A process that may not write files beyond a size: a full disk without filling one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
from everfit.errors import StorageError
try:
    exec(compile(sys.argv[3], "work", "exec"))
except StorageError as error:
    print(error.fix)
"""


def fix_told_when_full(folder: Path, limit: int, work: str) -> str:
    """Runs `work` (Python, knowing `folder`) where no file may pass `limit` bytes; the fix of its StorageError."""
    command = [sys.executable, "-c", _LIMITED, str(folder), str(limit), work]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
