"""A PostgreSQL server of one's own: its folder, its port on the loopback, gone with the block."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DEADLINE = 60.0  # seconds after which a server counts as one that does not start


def absent() -> str:
    """Why no server can be started here; empty when one can."""
    if _programs() is None:
        return "PostgreSQL's programs (initdb, postgres) are not installed: Debian's package postgresql has them"
    if os.geteuid() == 0 and not _is_user("postgres"):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@dataclass
class Postgres:
    """A server that may be ended in the midst of everything, and started again on what it holds."""

    folder: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """The address of a database, with the password."""
        return f"postgresql+psycopg2://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it, and returns when it takes connections."""
        data = self.folder / "data"
        if not data.exists():
            secret = self.folder / "password"
            secret.write_text(self.password)
            _as_postgres("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")
        settings = ("-c", "fsync=off", "-c", "max_connections=80", "-c", f"unix_socket_directories={self.folder}")
        command = [_program("postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **_owner())
        deadline = time.monotonic() + _DEADLINE
        while subprocess.run(self._ready(), capture_output=True, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not take connections"
            time.sleep(0.02)

    def stop(self, crash: bool = False) -> None:
        """Ends it: every connection breaks at once."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self.process.wait(_DEADLINE)
            self.process = None

    def create(self, database: str) -> str:
        """The address of a new, empty database."""
        _as_postgres("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", database,
                     env={"PGPASSWORD": self.password})  # fmt: skip
        return self.url(database)

    def _ready(self) -> list[str]:
        return [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server with no database of its own yet but `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="everfit-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(folder, _free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop(crash=True)
        shutil.rmtree(folder, ignore_errors=True)


def _as_postgres(program: str, *arguments: object, env: dict[str, str] | None = None) -> None:
    command = [_program(program), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={**os.environ, **(env or {})}, **_owner()
    )
    assert done.returncode == 0, f"{program}: {done.stderr}"


def _owner() -> dict[str, Any]:
    """Whom the server belongs to: it refuses to be root's."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _programs() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _program(name: str) -> str:
    folder = _programs()
    assert folder is not None
    return str(folder / name)


def _is_user(name: str) -> bool:
    import pwd

    return any(user.pw_name == name for user in pwd.getpwall())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
