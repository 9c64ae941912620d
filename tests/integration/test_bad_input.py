"""Whatever is wrong with a file, a setting, a disk or a request: a clear error, an exit code, and nothing half-done."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import polars as pl
import pytest

from everfit.records.run import Status
from everfit.records.table import Row
from everfit.testing.labels import latest
from tests.integration import projects
from tests.integration.killing import check_files, check_versions
from tests.integration.projects import SETTINGS, Outcome, SmallProject, finish
from tests.integration.servers import served

ROWS = 120
Change = Callable[[SmallProject], object]


@pytest.fixture(scope="session")
def _untouched(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    return projects.write(tmp_path_factory.mktemp("untouched") / "project", ROWS)


@pytest.fixture
def small(_untouched: SmallProject, tmp_path: Path) -> SmallProject:
    shutil.copytree(_untouched.folder, tmp_path / "small")
    return SmallProject(tmp_path / "small")


def check_refused(project: SmallProject, outcome: Outcome, code: int, *words: str) -> None:
    """The command said what is wrong and where, and left nothing behind but, perhaps, the record of a failed run."""
    assert outcome.code == code, outcome
    last = outcome.err[outcome.err.rindex("error: ") :]
    assert not [word for word in words if word not in last], last
    assert "Traceback" not in outcome.err
    assert not (project.store / "mlflow.db").exists()
    if (project.store / "state.db").exists():
        assert project.events() == []
        assert {record.status for record in project.runs()} <= {Status.FAILED}
        check_files(project.store)


def text(change: Callable[[str], str]) -> Change:
    return lambda project: project.table.write_text(change(project.table.read_text()))


def line(number: int, change: Callable[[str], str]) -> Change:
    """Changes one line of the table, counted from 1."""

    def apply(content: str) -> str:
        lines = content.split("\n")
        lines[number - 1] = change(lines[number - 1])
        return "\n".join(lines)

    return text(apply)


def value(column: str, words: str, row: int = 5) -> Change:
    """Writes a value into one row of a column, counted from 1."""

    def apply(project: SmallProject) -> None:
        there = pl.int_range(pl.len()) == row - 1
        projects.customers(ROWS).with_columns(
            pl.when(there).then(pl.lit(words)).otherwise(pl.col(column).cast(pl.String)).alias(column)
        ).write_csv(project.table)

    return apply


def whole(column: str, words: str | None) -> Change:
    """The same value in every row."""
    return lambda project: (
        projects.customers(ROWS).with_columns(pl.lit(words, pl.String).alias(column)).write_csv(project.table)
    )


def a_folder(project: SmallProject) -> None:
    project.table.unlink()
    project.table.mkdir()


TABLES: dict[str, tuple[Change, int, tuple[str, ...]]] = {
    "missing": (lambda p: p.table.unlink(), 3, ("customers.csv", "there is no such file")),
    "misspelt": (lambda p: p.table.rename(p.folder / "customer.csv"), 3, ("did you mean customer.csv?",)),
    "a folder": (a_folder, 3, ("customers.csv", "is a folder")),
    "empty": (lambda p: p.table.write_bytes(b""), 3, ("customers.csv", "the file is empty")),
    "header only": (text(lambda t: t.split("\n")[0] + "\n"), 3, ("customers.csv", "has a header and no rows")),
    "duplicate columns": (line(1, lambda t: t.replace("age", "tenure")), 3, ("line 1", "two columns are", "'tenure'")),
    "a row too long": (line(7, lambda t: t + ",more"), 3, ("line 7", "24 values where the header has 23")),
    "a row too short": (line(7, lambda t: t.rpartition(",")[0]), 3, ("line 7", "22 values where the header has 23")),
    "latin-1": (
        lambda p: p.table.write_bytes(p.table.read_bytes() + "Jos\u00e9".encode("latin-1")),
        3,
        (f"line {ROWS + 2}", "0xe9", "not UTF-8"),
    ),
    "binary": (lambda p: p.table.write_bytes(bytes(range(256)) * 40), 3, ("line 1", "zero byte")),
    "one line of 10 MB": (
        lambda p: p.table.write_bytes(p.table.read_bytes() + b"C," + b"x" * 10_000_000),
        3,
        (f"line {ROWS + 2}", "longer than 1,000,000 bytes"),
    ),
    "no target": (line(1, lambda t: t.replace("churn", "gone")), 2, ("data.target.column", "no column 'churn'")),
    "a constant target": (whole("churn", "No"), 4, ("churn", "1 distinct value")),
    "a missing target": (value("churn", ""), 4, ("churn", "1 value missing, first in row 5")),
    "an infinite value": (value("tenure", "inf"), 4, ("tenure", "infinite, first in row 5: inf")),
    "mixed types": (value("tenure", "abc"), 4, ("tenure", "first in row 5: abc", "expected numeric")),
}
CHECKED: dict[str, tuple[Change, str, tuple[str, ...]]] = {
    "an unseen class": (
        value("churn", "Maybe"),
        'checks: [{column: churn, allowed: ["Yes", "No"]}]',
        ("churn", "first in row 5: Maybe; expected Yes, No"),
    ),
    "a column without a value": (
        whole("age", None),
        "checks: [{column: age, nulls: 10%}]",
        ("age", "nulls: 100.00%; expected at most 10.00%"),
    ),
    "a month 13": (
        value("event_timestamp", "2025-13-01"),
        "checks: [{column: event_timestamp, type: date}]",
        ("event_timestamp", "first in row 5: 2025-13-01", "expected date"),
    ),
    "the year 9999": (
        value("event_timestamp", "9999-01-01T00:00:00"),
        "checks: [{column: event_timestamp, type: date}]",
        ("event_timestamp", "first in row 5: 9999-01-01", "from 1900 to 2200"),
    ),
}
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "tabs": ("project: churn\ndata:\n\tsource: customers.csv\n", ("everfit.yaml:3:1", "tab")),
    "an unknown key": (
        SETTINGS + "gate: {f1: 0.5}\n",
        ("everfit.yaml:12:1", "gate: unknown key", "did you mean 'gates'?"),
    ),
    "a wrong type": (
        SETTINGS.replace("trials: 2", "trials: two"),
        ("everfit.yaml:9:12", "training.budget.trials", "'two'"),
    ),
    "a variable not set": (SETTINGS + "alerts: [{webhook: '${EVERFIT_HOOK_NOT_SET}'}]\n", ("EVERFIT_HOOK_NOT_SET",)),
    "a secret written out": (SETTINGS + "alerts: [{webhook: 'https://x/secret'}]\n", ("never written into the file",)),
    "nothing": ("", ("everfit.yaml:1:1", "the file is empty")),
    "no source": (SETTINGS.replace("  source: customers.csv\n", ""), ("everfit.yaml", "source")),
    "a source of no known kind": (SETTINGS.replace("customers.csv", "customers.xml"), ("customers.xml", ".csv")),
}
FUNCTIONS: dict[str, tuple[bytes, int, tuple[str, ...]]] = {
    "syntax": (b"def f(tenure):\n    return tenure +\n", 2, ("features.py:2",)),
    "latin-1": (b"# \xe9\n", 2, ("features.py", "not UTF-8")),
    "raises": (b"def f(tenure):\n    return tenure / nobody\n", 6, ("features.py:2", "NameError", "nobody")),
    "ends the process": (b"import sys\ndef f(tenure):\n    sys.exit(0)\n", 6, ("features.py:3", "SystemExit")),
    "reads what is not there": (b"def f(tenur):\n    return tenur\n", 2, ("tenur",)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table(small: SmallProject, name: str) -> None:
    change, code, words = TABLES[name]
    change(small)
    check_refused(small, small.call("run"), code, *words)


@pytest.mark.parametrize("name", CHECKED)
def test_a_table_that_breaks_a_check(small: SmallProject, name: str) -> None:
    change, checks, words = CHECKED[name]
    change(small)
    settings = SETTINGS.replace("  exclude: [event_timestamp]\n", "  time: event_timestamp\n")
    small.file.write_text(f"{settings}{checks}\n")
    check_refused(small, small.call("run"), 4, *words)


def test_a_column_without_a_value_is_told_and_never_a_feature(small: SmallProject) -> None:
    whole("age", None)(small)
    outcome = small.call("run")
    assert outcome.code == 0
    assert "age: empty: 0 values" in outcome.out


@pytest.mark.parametrize("name", FILES)
def test_a_bad_project_file(small: SmallProject, name: str) -> None:
    settings, words = FILES[name]
    small.file.write_text(settings)
    check_refused(small, small.call("run"), 2, *words)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bad_features_file(small: SmallProject, name: str) -> None:
    content, code, words = FUNCTIONS[name]
    (small.folder / "features.py").write_bytes(content)
    check_refused(small, small.call("run"), code, *words)


def test_a_features_file_that_is_named_must_be_there(small: SmallProject) -> None:
    small.file.write_text(SETTINGS + "features: {file: my_features.py}\n")
    check_refused(small, small.call("run"), 2, "my_features.py", "No such file")


def test_a_label_of_a_class_that_the_model_does_not_know_is_refused_and_none_is_stored(released: SmallProject) -> None:
    found = released.open().predict(projects.customers(3, seed=9))
    labels = found.select(prediction_id="id").with_columns(churn=pl.Series(["Yes", "Maybe", "No"]))
    labels.write_csv(released.folder / "labels.csv")
    outcome = released.call("labels", str(released.folder / "labels.csv"))
    assert outcome.code == 3
    assert "'Maybe' is not one of the classes No, Yes" in outcome.err
    assert "row 2" in outcome.err
    assert latest(released.open().ports.labels) == {}


def test_a_label_whose_time_cannot_be_read_is_refused(released: SmallProject) -> None:
    found = released.open().predict(projects.customers(2, seed=9))
    labels = found.select(prediction_id="id").with_columns(churn=pl.lit("Yes"), known_at=pl.lit("yesterday"))
    labels.write_csv(released.folder / "labels.csv")
    outcome = released.call("labels", str(released.folder / "labels.csv"))
    assert (outcome.code, "Traceback" in outcome.err) == (3, False)
    assert "known_at" in outcome.err
    assert "yesterday" in outcome.err
    assert latest(released.open().ports.labels) == {}


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A file system of that size at the folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    try:
        with mounted(folder / "probe", "64k"):
            return True
    except subprocess.CalledProcessError:
        return False


class Disk:
    """The file system of a project's store, of a size that changes; where none may be mounted, the size is what no
    file may outgrow, which ends a run in the same way."""

    def __init__(self, store: Path, real: bool) -> None:
        self.store, self.real, self.size = store, real, 100_000_000

    def resize(self, size: int) -> None:
        self.size = size
        if self.real:
            subprocess.run(["mount", "-o", f"remount,size={size}", self.store], check=True)

    def run(self, project: SmallProject, *arguments: str) -> Outcome:
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({self.size}, {self.size}))"
        return finish(project.start("run", *arguments, before="" if self.real else limit))


@contextmanager
def disk(project: SmallProject, probe: Path) -> Iterator[Disk]:
    real = may_mount(probe)
    with mounted(project.store, "100m") if real else nullcontext():
        yield Disk(project.store, real)


@pytest.mark.parametrize("size", [16_000, 400_000])
def test_a_full_disk_is_told_and_the_next_run_goes_on_when_there_is_room(
    small: SmallProject, tmp_path: Path, size: int
) -> None:
    """The sizes end a run at its first record, and between two steps."""
    with disk(small, tmp_path) as room:
        room.resize(size)
        check_full(small, room.run(small))
        room.resize(100_000_000)
        assert small.call("run").code == 0
        check_files(small.store)
        check_versions(small)


def test_a_disk_that_fills_while_a_model_is_registered_is_told_and_the_next_run_registers_it(
    small: SmallProject, tmp_path: Path
) -> None:
    with disk(small, tmp_path) as room:
        assert small.call("run", "--set=gates.roc_auc=1").code == 5
        room.resize((used(small.store) if room.real else 0) + 300_000)
        check_full(small, room.run(small))
        room.resize(100_000_000)
        assert small.call("run").code == 0
        check_files(small.store)
        check_versions(small)


def used(folder: Path) -> int:
    """Bytes of the file system at the folder that are taken."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def check_full(project: SmallProject, outcome: Outcome) -> None:
    assert outcome.code == 8, outcome
    assert "\n  fix: " in outcome.err
    assert "Traceback" not in outcome.err
    if (project.store / "artifacts").exists():
        check_files_but_databases(project.store)


def check_files_but_databases(store: Path) -> None:
    """A full disk has no room for the log that opening a database needs."""
    assert [path for path in (store / "artifacts" / "incoming").iterdir() if path.is_dir()] == []


def test_a_file_that_may_not_grow_is_told_as_a_full_disk(small: SmallProject) -> None:
    limited = Disk(small.store, real=False)
    limited.resize(100_000)
    outcome = limited.run(small)
    check_full(small, outcome)
    assert "File too large" in outcome.err or "disk" in outcome.err


def test_a_read_only_folder_is_told(small: SmallProject, tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        small.folder.chmod(0o500)
        outcome = small.call("run")
        small.folder.chmod(0o700)
    else:
        subprocess.run(["mount", "--bind", small.folder, small.folder], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", small.folder], check=True)
            outcome = small.call("run")
        finally:
            subprocess.run(["umount", "--lazy", small.folder], check=True)
    assert outcome.code == 8, outcome
    assert ".everfit" in outcome.err
    assert "make the folder writable" in outcome.err
    assert "Traceback" not in outcome.err
    assert not small.store.exists()


def test_a_port_that_is_taken_is_told(released: SmallProject) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        outcome = released.call("serve", "--port", str(port))
    assert outcome.code == 2
    assert f"serving.port: port {port} is taken by another program" in outcome.err
    assert "choose another port" in outcome.err


def nested(depth: int) -> bytes:
    return b'{"age": ' + b"[" * depth + b"]" * depth + b"}"


REQUESTS: dict[str, tuple[Callable[[Row], bytes], int, str]] = {
    "no JSON": (lambda row: b"{'age': 3}", 422, "not JSON"),
    "no object": (lambda row: b"[1, 2]", 422, "one JSON object"),
    "nothing": (lambda row: b"", 422, "not JSON"),
    "deep": (lambda row: nested(50), 413, "nested deeper than 8"),
    "very deep": (lambda row: nested(100_000), 422, "not JSON"),
    "huge": (lambda row: json.dumps({**row, "gender": "x" * 2_000_000}).encode(), 413, "longer than 1000000 bytes"),
    "many rows": (lambda row: json.dumps({"rows": [{}] * 1_001}).encode(), 413, "1001 rows"),
    "NaN": (lambda row: json.dumps({**row, "tenure": float("nan")}).encode(), 422, "not JSON"),
    "Infinity": (lambda row: json.dumps({**row, "tenure": float("inf")}).encode(), 422, "not JSON"),
    "too large a number": (lambda row: json.dumps({**row, "tenure": 10**400}).encode(), 422, "tenure"),
    "text for a number": (lambda row: json.dumps({**row, "tenure": "a year"}).encode(), 422, "tenure"),
    "a list for a number": (lambda row: json.dumps({**row, "tenure": [3]}).encode(), 422, "tenure"),
    "an unknown column": (lambda row: json.dumps({**row, "tenur": 3}).encode(), 422, "tenur"),
    "a missing column": (lambda row: json.dumps({n: row[n] for n in row if n != "tenure"}).encode(), 422, "tenure"),
    "an unknown customer": (lambda row: b'{"customer_id": "nobody"}', 404, "nobody"),
}


def test_a_bad_request_is_refused_with_its_reason_and_the_server_goes_on(released: SmallProject) -> None:
    with served(released) as client:
        row = dict(released.open_manifest().example)
        for name, (body, status, words) in REQUESTS.items():
            answer = client.post("/predict", content=body(row), headers={"content-type": "application/json"})
            assert (name, answer.status_code) == (name, status), answer.text
            assert words in answer.text, name
        assert client.post("/predict", content=b"a=1").status_code == 415
        assert client.get("/predict").status_code == 405
        good = client.post("/predict", json=row)
        assert good.status_code == 200, good.text
    (logged,) = list(released.open().ports.log.read())
    assert logged.id == good.json()["id"]


def test_without_a_release_requests_are_told_so(trained: SmallProject) -> None:
    with served(trained) as client:
        answer: httpx.Response = client.post("/predict", json={"customer_id": "C00000001"})
        assert (answer.status_code, client.get("/ready").status_code, client.get("/health").status_code) == (
            503,
            503,
            200,
        )
        assert "everfit release" in answer.text
