"""Values to files and back: the same value gives the same bytes, and nothing is pickled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.flow import artifact
from everfit.records.run import RunRecord, Status, StepRecord
from everfit.records.table import Column, Kind, Schema
from everfit.training.trial import Fold

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pair:
    left: Array
    right: Array


def trip(value: Any, kind: Any, folder: Path) -> Any:
    folder.mkdir()
    artifact.save(value, kind, folder)
    return artifact.load(kind, folder)


def content(value: Any, kind: Any, folder: Path) -> str:
    folder.mkdir()
    artifact.save(value, kind, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


TABLE = pl.DataFrame(
    {"text": ["a", None, "ü"], "number": [1.5, float("nan"), None], "when": [datetime(2025, 1, 1, tzinfo=UTC)] * 3}
)
RECORD = RunRecord(
    "r", "p", Status.DONE, datetime(2025, 1, 1, tzinfo=UTC), steps=(StepRecord("s", Status.CACHED, "k", "o", 0.5, ""),)
)


def test_a_table_comes_back_with_its_types_and_its_missing_values(tmp_path: Path) -> None:
    found = trip(TABLE, pl.DataFrame, tmp_path / "a")
    assert found.equals(TABLE, null_equal=True)
    assert found.schema == TABLE.schema


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (RECORD, RunRecord),
        (Schema((Column("a", Kind.NUMERIC, minimum=1.0, levels=("x",)),)), Schema),
        ({"a": 1.5}, dict[str, float]),
        (None, dict[str, float] | None),
        (("a", "b"), tuple[str, ...]),
        (3, int),
    ],
)
def test_records_and_plain_values_come_back_equal(value: Any, kind: Any, tmp_path: Path) -> None:
    assert trip(value, kind, tmp_path / "a") == value


def test_numbers_that_json_has_no_word_for_come_back(tmp_path: Path) -> None:
    found = trip({"a": float("nan"), "b": float("inf")}, dict[str, float], tmp_path / "a")
    assert np.isnan(found["a"])
    assert found["b"] == float("inf")


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "datetime64[us]", "<U3"])
def test_arrays_come_back_mapped_and_read_only(dtype: str, tmp_path: Path) -> None:
    value = np.arange(6).reshape(3, 2).astype(dtype)
    found = trip(value, np.ndarray[Any, Any], tmp_path / "a")
    assert found.dtype == value.dtype
    assert (found == value).all()
    assert isinstance(found, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = value[1, 1]


def test_an_array_of_objects_is_refused_for_it_would_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject arrays cannot be saved"):
        trip(np.array(["a", None], dtype=object), np.ndarray[Any, Any], tmp_path / "a")


def test_a_dataclass_of_arrays_and_a_tuple_of_them(tmp_path: Path) -> None:
    folds = tuple(Fold(*(np.full((2, 2), float(i + k)) for i in range(7))) for k in range(12))
    found = trip(folds, tuple[Fold, ...], tmp_path / "a")
    assert len(found) == 12
    assert [fold.y_valid[0, 0] for fold in found] == [4.0 + k for k in range(12)]
    assert trip(Pair(np.zeros(2), np.ones(1)), Pair, tmp_path / "b").right.tolist() == [1.0]


def test_a_tuple_of_nothing_comes_back_as_one(tmp_path: Path) -> None:
    assert trip((), tuple[Fold, ...], tmp_path / "a") == ()


def test_files_by_name_and_folders_come_back(tmp_path: Path) -> None:
    assert trip({"a.png": b"\x00\x01", "b.csv": b"x"}, dict[str, bytes], tmp_path / "a") == {
        "a.png": b"\x00\x01",
        "b.csv": b"x",
    }
    (tmp_path / "source" / "inner").mkdir(parents=True)
    (tmp_path / "source" / "inner" / "file").write_text("kept")
    assert (trip(tmp_path / "source", Path, tmp_path / "b") / "inner" / "file").read_text() == "kept"


@pytest.mark.parametrize(("value", "kind"), [(TABLE, pl.DataFrame), (RECORD, RunRecord), (np.eye(3), Array)])
def test_equal_values_give_equal_bytes(value: Any, kind: Any, tmp_path: Path) -> None:
    again = value.clone() if isinstance(value, pl.DataFrame) else value
    assert content(value, kind, tmp_path / "a") == content(again, kind, tmp_path / "b")


def test_what_saving_a_small_table_hands_on_is_what_loading_it_gives_and_a_copy(tmp_path: Path) -> None:
    table = TABLE.with_columns(kind=pl.Series(["x", "y", "x"], dtype=pl.Categorical), n=np.arange(3.0))
    handed = artifact.save(table, pl.DataFrame, tmp_path)
    loaded = artifact.load(pl.DataFrame, tmp_path)
    assert handed.equals(loaded, null_equal=True)
    assert (handed.schema, handed.n_chunks()) == (loaded.schema, loaded.n_chunks())
    table[0, "n"] = 7.0
    assert handed["n"][0] == 0.0


def test_a_large_table_is_read_from_where_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "_SMALL", 8)
    assert artifact.save(TABLE, pl.DataFrame, tmp_path) is None


def test_a_table_in_chunks_has_the_bytes_of_the_same_table_in_one(tmp_path: Path) -> None:
    chunked = pl.concat([TABLE[:1], TABLE[1:]], rechunk=False)
    assert content(chunked, pl.DataFrame, tmp_path / "a") == content(TABLE, pl.DataFrame, tmp_path / "b")


@given(st.lists(st.floats(allow_nan=True), max_size=20))
def test_every_float_survives(values: list[float]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = trip(np.array(values), Array, Path(folder) / "a")
        assert found.tobytes() == np.array(values).tobytes()
        del found
