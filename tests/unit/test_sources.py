"""CSV and Parquet files: every value arrives as written, everything else is refused with file, line and fix."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everfit.adapters.sources import scan
from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.encoding import TextScan
from everfit.adapters.sources.parquet import ParquetSource
from everfit.adapters.sources.quoting import Quoting
from everfit.errors import ProjectError, SourceError
from everfit.wiring.sources import source

Write = Callable[[bytes], str]
REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(content: bytes) -> str:
        path = tmp_path / "t.csv"
        path.write_bytes(content)
        return str(path)

    return written


def rows(path: str) -> list[tuple[str | None, ...]]:
    return CsvSource(path).read().rows()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n007,1e5\n", [("007", "1e5")]),
        (b"a,b\n1,\nx, \n", [("1", None), ("x", " ")]),
        (b"a;b\n1,5;2\n", [("1,5", "2")]),
        (b"a\tb\n1\t2", [("1", "2")]),
        (b"a,b\r\n1,2\r\n", [("1", "2")]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")]),
        (b'\xef\xbb\xbf"a",b\n1,2\n', [("1", "2")]),
        (b'a,b\n"x, ""y""\nz",2\n', [('x, "y"\nz', "2")]),
        (b"a,b\n1,2\n\n\r\n\n", [("1", "2")]),
        (b"a\n1\n\n3\n\n", [("1",), (None,), ("3",)]),
        (b'"a;x";b\n1;2\n', [("1", "2")]),
    ],
)
def test_values_arrive_as_written(write: Write, content: bytes, expected: list[tuple[str | None, ...]]) -> None:
    assert rows(write(content)) == expected


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "t.csv", "empty"),
        (b"a,b\n", "t.csv", "no rows"),
        (b"a,b", "t.csv", "no rows"),
        (b"a,b,a\n1,2,3\n", "line 1", "two columns are named 'a'"),
        (b",b\n1,2\n", "line 1", "column 1 has no name"),
        (b"\na,b\n1,2\n", "line 1", "names no columns"),
        (b"a,b\n1,2\n3\n", "line 3", "1 value where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3", "3 values where the header has 2"),
        (b'a,b\n"x\ny",2\n3', "line 4", "1 value where"),
        (b"a,b\n1,2\n\n3,4\n", "line 3", "blank"),
        (b"a,b\n1,\xe9\n", "line 2", "byte 7 of the file (0xe9) is not UTF-8"),
        (b"a,b\n1,\xc3", "line 2", "byte 7 of the file (0xc3) is not UTF-8"),
        (b"a,b\n1,\0\n", "line 2", "binary"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv", "UTF-16"),
        (b"PK\x03\x04rest", "t.csv", "Excel"),
        (b"\x1f\x8brest", "t.csv", "gzip"),
        (b"a,b\r1,2\r", "t.csv", "carriage returns"),
        (b'a,b\n5" pipe,2\n', "line 2", "quote stands inside"),
        (b'a,b\n1,2\n1,"2\n3,4\n', "line 3", "never closed"),
        (b'a,b\n"x"y,2\n', "t.csv", "not readable as CSV"),
        (b"a\n" + b"x" * 10_000_000, "line 2", "longer than"),
        (b"x" * 10_000_000, "line 1", "longer than"),
    ],
)
def test_what_is_no_clean_csv_is_refused_by_line(write: Write, content: bytes, where: str, what: str) -> None:
    with pytest.raises(SourceError) as caught:
        CsvSource(write(content)).read()
    assert caught.value.where.endswith(where)
    assert what in caught.value.what
    assert caught.value.fix


def test_a_missing_file_is_refused_with_the_nearest_name(write: Write) -> None:
    path = write(b"a\n1\n")
    with pytest.raises(SourceError, match=r"no such file") as caught:
        CsvSource(path.replace("t.csv", "tt.csv")).read()
    assert "t.csv" in caught.value.fix


def test_a_file_one_folder_up_is_named(write: Write) -> None:
    path = Path(write(b"a\n1\n"))
    (path.parent / "project").mkdir()
    with pytest.raises(SourceError) as caught:
        CsvSource(str(path.parent / "project" / path.name)).read()
    assert caught.value.fix == f"did you mean {path}?"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        CsvSource(str(tmp_path)).read()


def test_an_unreadable_file_is_refused() -> None:
    """Read by a process that is nobody where the tests run as the superuser, who may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "t.csv"
        path.write_bytes(b"a\n1\n")
        path.chmod(0)
        _refuse_as_nobody(path)


def _refuse_as_nobody(path: Path) -> None:
    code = "import os, sys; os.geteuid() or os.setuid(65534); source = CsvSource(sys.argv[1]); source.read()"
    header = "from everfit.adapters.sources.csv import CsvSource; from everfit.errors import SourceError; "
    done = subprocess.run([sys.executable, "-c", header + code, str(path)], capture_output=True, text=True, check=False)
    assert "SourceError" in done.stderr
    assert "may not be read" in done.stderr


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)


@REUSED_FOLDER
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.integers(1, 40))
def test_what_a_csv_writer_wrote_is_read_whatever_the_blocks(
    tmp_path: Path, cells: list[tuple[str, str]], block: int
) -> None:
    path = tmp_path / "h.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("left", "right"), *cells])
    whole = scan.scan(path, ",", 2)
    with path.open("rb") as file:
        text, records = TextScan("h"), scan._Records(Quoting("h", ord(",")), 2)
        while part := file.read(block):
            text.take(part)
            records.take(part)
        assert records.finish() == whole == len(cells)
    assert [tuple(cell or "" for cell in row) for row in rows(str(path))] == cells


@REUSED_FOLDER
@given(st.integers(1, 9))
def test_errors_name_the_same_line_whatever_the_blocks(block: int) -> None:
    content, records = b'a,b\n"x\n,y",2\n\n3\n', scan._Records(Quoting("t", ord(",")), 2)

    def take() -> None:
        for start in range(0, len(content), block):
            records.take(content[start : start + block])

    with pytest.raises(SourceError, match="t, line 4: is blank"):
        take()


def test_a_glob_is_stacked_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.csv").write_text(f"x\n{name}\n")
    source = CsvSource(str(tmp_path / "*.csv"))
    assert source.read()["x"].to_list() == ["a", "b", "c"]
    before = source.identity()
    (tmp_path / "c.csv").write_text("x\nd\n")
    assert source.identity() != before


def test_a_glob_of_unequal_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(SourceError, match=r"b\.csv: its columns are not those of a\.csv: y, z"):
        CsvSource(str(tmp_path / "*.csv")).read()


def test_a_glob_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file matches"):
        CsvSource(str(tmp_path / "*.csv")).identity()


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("x\n1\n")
    assert CsvSource(str(tmp_path / "a[1].csv")).read().height == 1


def test_identity_is_by_content(tmp_path: Path) -> None:
    for name, content in (("a", "x\n1\n"), ("b", "x\n1\n"), ("c", "x\n2\n")):
        (tmp_path / f"{name}.csv").write_text(content)
    a, b, c = (CsvSource(str(tmp_path / f"{name}.csv")).identity() for name in "abc")
    assert a == b != c


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    frame.write_parquet(tmp_path / "t.parquet")
    source = ParquetSource(str(tmp_path / "t.parquet"))
    assert source.read().equals(frame)
    assert len(source.identity()) == 64


def test_parquet_that_is_none_or_torn_or_empty_is_refused(tmp_path: Path) -> None:
    whole, broken = tmp_path / "t.parquet", tmp_path / "broken.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(whole)
    for content, what in ((b"a,b\n1,2\n", "not a Parquet"), (whole.read_bytes()[:-20], "damaged"), (b"", "empty")):
        broken.write_bytes(content)
        with pytest.raises(SourceError, match=what):
            ParquetSource(str(broken)).read()
    pl.DataFrame({"a": []}).write_parquet(whole)
    with pytest.raises(SourceError, match="no rows"):
        ParquetSource(str(whole)).read()


def test_parquet_globs_need_equal_types(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": ["1"]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(SourceError, match=r"2\.parquet"):
        ParquetSource(str(tmp_path / "*.parquet")).read()


def test_sources_are_selected_by_ending(tmp_path: Path) -> None:
    assert source(tmp_path, "a.csv") == CsvSource(str(tmp_path / "a.csv"))
    assert source(tmp_path, "lake/*.PARQUET") == ParquetSource(str(tmp_path / "lake/*.PARQUET"))
    for unknown in ("a.xlsx", "s3://bucket/a.csv"):
        with pytest.raises(ProjectError):
            source(tmp_path, unknown)


def test_a_csv_that_has_changed_is_looked_over_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    source = CsvSource(str(path))
    assert (source.count(), source.count()) == (1, 1)
    path.write_text("a,b\n1,2\n3,4\n")
    assert source.count() == 2
