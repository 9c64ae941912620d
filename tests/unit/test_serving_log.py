"""The prediction log: what was acknowledged is there, whatever is killed, and nothing else is taken for a record."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.errors import StorageError
from everfit.records.prediction import PredictionRecord
from everfit.records.table import Value
from everfit.serving.log import JsonLinesLog
from everfit.testing.contracts import PredictionLogContract

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from everfit.records.prediction import PredictionRecord
from everfit.serving.log import JsonLinesLog

log = JsonLinesLog(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{i}"
    log.append([PredictionRecord(name, datetime.now(UTC), None, {"x": "y" * 500}, {}, "champion", 1, 0.5, "No", 0.0)])
    sys.stdout.write(name + "\\n")
    sys.stdout.flush()
"""


class TestJsonLinesLog(PredictionLogContract):
    def make(self, folder: Path) -> JsonLinesLog:
        return JsonLinesLog(folder / "log")


def record(name: str = "a", time: datetime = NOW, **values: Value) -> PredictionRecord:
    return PredictionRecord(name, time, "c-7", {"tenure": 12, **values}, {"x": None}, "champion", 3, 0.25, "No", 0.001)


def ids(log: JsonLinesLog, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    return [each.id for each in log.read(since, until)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[JsonLinesLog]:
    opened = JsonLinesLog(tmp_path / "log")
    yield opened
    opened.close()


def segments(log_or_folder: JsonLinesLog | Path) -> list[Path]:
    folder = log_or_folder if isinstance(log_or_folder, Path) else log_or_folder.folder
    return sorted(folder.glob("*_*"))


def test_a_log_never_written_reads_as_empty(log: JsonLinesLog) -> None:
    assert ids(log) == []


def test_records_come_back_as_they_were(log: JsonLinesLog) -> None:
    written = [record("a", note="line\nbreak ä"), record("b", flag=True, share=1.0, nothing=None)]
    log.append(written)
    assert list(log.read()) == written


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=8), st.integers(0, 5000), st.integers(0, 5000))
def test_a_window_holds_exactly_the_records_within_it(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[int], start: int, length: int
) -> None:
    log = JsonLinesLog(tmp_path_factory.mktemp("log"))
    times = [NOW + timedelta(minutes=m) for m in minutes]
    for i, time in enumerate(times):
        log.append([record(str(i), time)])
    log.close()
    since, until = NOW + timedelta(minutes=start), NOW + timedelta(minutes=start + length)
    assert ids(log, since, until) == [str(i) for i, time in enumerate(times) if since <= time < until]


def test_one_batch_over_several_days_is_one_write(log: JsonLinesLog) -> None:
    log.append([record(str(day), NOW + timedelta(days=day)) for day in range(4)])
    assert len(segments(log)) == 1
    assert ids(log, NOW + timedelta(days=1), NOW + timedelta(days=3)) == ["1", "2"]


def test_old_segments_are_passed_over_by_their_name_alone(log: JsonLinesLog) -> None:
    log.append([record("old", NOW)])
    log.append([record("new", NOW + timedelta(days=2))])
    segments(log)[0].write_bytes(b"not even JSON\n")
    assert ids(log, NOW + timedelta(days=1)) == ["new"]


def test_a_segment_that_is_full_is_followed_by_another_in_order(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path, segment_bytes=600)
    for i in range(20):
        log.append([record(str(i))])
    log.close()
    assert len(segments(tmp_path)) > 4
    assert ids(log) == [str(i) for i in range(20)]


@pytest.mark.parametrize("torn", [b'{"id":"torn', b'{"id":"torn"}\n', b'{"id":"torn"}\n{"crc32":12', b"\x00" * 30])
def test_a_torn_last_line_is_passed_over_and_never_glued_to_the_next_record(log: JsonLinesLog, torn: bytes) -> None:
    log.append([record("before")])
    with segments(log)[0].open("ab") as file:
        file.write(torn)
    after = JsonLinesLog(log.folder)
    after.append([record("after")])
    after.close()
    assert ids(after) == ["before", "after"]


def test_a_block_that_was_damaged_is_reported_with_its_place(log: JsonLinesLog) -> None:
    log.append([record("a"), record("b"), record("c")])
    path = segments(log)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"No", b"Ho"), *lines[2:]]))
    with pytest.raises(StorageError) as caught:
        ids(log)
    assert caught.value.where == f"{path}:1"


def test_files_that_are_no_segments_are_left_alone(log: JsonLinesLog) -> None:
    log.append([record("a")])
    (log.folder / "notes_of_some_kind.jsonl").write_text("hello")
    assert ids(log) == ["a"]


def test_a_file_in_place_of_the_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        JsonLinesLog(tmp_path / "log").append([record()])
    assert caught.value.status == 503


def test_a_full_disk_leaves_whole_records_only_and_writing_goes_on_when_there_is_room(log: JsonLinesLog) -> None:
    log.append([record("before")])
    size = segments(log)[0].stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 400, hard))
    try:
        # The batch's first record would fit; none of it may stay.
        with pytest.raises(StorageError):
            log.append([record(str(i)) for i in range(5)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert segments(log)[0].stat().st_size == size
    log.append([record("after")])
    assert ids(log) == ["before", "after"]


def test_threads_append_whole_records(log: JsonLinesLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log.append([record(f"{i}-{j}") for j in range(3)]), range(100)))
    found = ids(log)
    assert sorted(found) == sorted(f"{i}-{j}" for i in range(100) for j in range(3))
    assert all(found[k][:-1] == found[k + 1][:-1] for k in range(0, 300, 3))


def test_a_forked_child_writes_a_segment_of_its_own(log: JsonLinesLog) -> None:
    log.append([record("parent")])
    assert log._segment is not None
    log._segment.owner = 0  # as a child sees it, whose own id differs
    log.append([record("child")])
    assert len(segments(log)) == 2
    assert ids(log) == ["parent", "child"]


def test_synced_records_read_the_same(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "deep" / "log", fsync="always")
    log.append([record("a")])
    log.close()
    assert ids(log) == ["a"]


def start_writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    source = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source})


@pytest.mark.parametrize("acknowledged", [1, 40, 333])
def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    with start_writer(tmp_path, "w", 1_000_000) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(acknowledged)]
        process.kill()
        # The pipe may hold a line that the kill cut short: it was never said in full.
        seen += [line.strip() for line in process.stdout if line.endswith("\n")]
    found = ids(JsonLinesLog(tmp_path))
    assert found[: len(seen)] == seen
    assert len(found) - len(seen) <= 1


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, name, 300) for name in ("a", "b")]
    for writer in writers:
        writer.communicate()
    assert sorted(ids(JsonLinesLog(tmp_path))) == sorted(f"{name}-{i}" for name in "ab" for i in range(300))


def test_segments_are_lines_of_json_that_others_can_read(log: JsonLinesLog) -> None:
    log.append([record("a"), record("b")])
    lines = [json.loads(line) for line in segments(log)[0].read_text().splitlines()]
    assert [line.get("id") for line in lines] == ["a", "b", None]
    assert lines[-1]["records"] == 2
