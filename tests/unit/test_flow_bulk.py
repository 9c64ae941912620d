from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock
from tests.unit.serving_models import MemoryLog, bundle, canary, model, one, table

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import RequestError, StorageError
from everfit.flow import bulk, scoring
from everfit.ports import Source
from everfit.serving.arms import Snapshot
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor

ROWS = table(95).drop("Churn", "risk", "level")


def doubled(piece: pl.DataFrame, before: int) -> pl.DataFrame:
    """An answer that says where it was."""
    return piece.select(pl.col("n").cast(pl.Int64), (pl.col("n").cast(pl.Int64) * 2).alias("twice"), version=1)


def numbers(folder: Path, count: int = 95, name: str = "numbers.parquet") -> Source:
    pl.DataFrame({"n": range(count)}).write_parquet(folder / name)
    return ParquetSource(str(folder / name))


@dataclass
class Whole:
    """A source that can only be read at once."""

    table: pl.DataFrame

    def identity(self) -> str:
        return "whole"

    def read(self) -> pl.DataFrame:
        return self.table


@dataclass
class Answering:
    """Answers until it is to fail, and keeps where each piece began."""

    fail_at: int | None = None
    begun: list[int] = field(default_factory=list)

    def __call__(self, piece: pl.DataFrame, before: int) -> pl.DataFrame:
        if before == self.fail_at:
            raise RuntimeError("here")
        self.begun.append(before)
        return doubled(piece, before)


def scored(source: Source, target: Path | None, answer: bulk.Answer = doubled, plan: str = "p") -> bulk.Scored:
    return bulk.score(source, target, bulk.here(answer), plan, lambda _: None, rows=10)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("whole", [True, False])
def test_every_row_is_answered_in_its_order(suffix: str, whole: bool, tmp_path: Path) -> None:
    source = Whole(pl.DataFrame({"n": range(95)})) if whole else numbers(tmp_path)
    found = scored(source, target := tmp_path / f"out{suffix}")
    read = pl.read_csv(target) if suffix == ".csv" else pl.read_parquet(target)
    assert read["twice"].to_list() == [2 * n for n in range(95)]
    assert (found.rows, found.resumed, found.versions, found.first.height) == (95, 0, {1: 95}, 5)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_without_a_target_only_the_summary_stays(tmp_path: Path) -> None:
    assert scored(numbers(tmp_path), None).rows == 95
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.parquet"]


def test_what_was_done_before_a_failure_is_not_done_again(tmp_path: Path) -> None:
    source, target = numbers(tmp_path), tmp_path / "out.parquet"
    with pytest.raises(RuntimeError):
        scored(source, target, Answering(fail_at=40))
    assert not target.exists()
    again = Answering()
    found = scored(source, target, again)
    assert again.begun == [40, 50, 60, 70, 80, 90]
    assert (found.rows, found.resumed) == (95, 40)
    assert pl.read_parquet(target)["n"].to_list() == list(range(95))


def test_another_plan_begins_anew(tmp_path: Path) -> None:
    source, target = numbers(tmp_path), tmp_path / "out.parquet"
    with pytest.raises(RuntimeError):
        scored(source, target, Answering(fail_at=40))
    assert scored(source, target, again := Answering(), plan="another").resumed == 0
    assert again.begun[0] == 0


def test_a_target_is_written_by_one_process(tmp_path: Path) -> None:
    source, target = numbers(tmp_path), tmp_path / "out.parquet"
    with FileLock(tmp_path / ".out.parquet.lock"), pytest.raises(StorageError, match="another process"):
        scored(source, target)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ".out.parquet.parts").write_text("a file in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        scored(numbers(tmp_path), tmp_path / "out.parquet")


def killed_at(folder: Path, before: int) -> None:
    def answer(piece: pl.DataFrame, at: int) -> pl.DataFrame:
        if at == before:
            os.kill(os.getpid(), signal.SIGKILL)
        return doubled(piece, at)

    scored(ParquetSource(str(folder / "numbers.parquet")), folder / "out.parquet", answer)


def test_a_killed_run_goes_on_behind_its_last_piece(tmp_path: Path) -> None:
    source = numbers(tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=killed_at, args=(tmp_path, 50))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    again = Answering()
    assert scored(source, tmp_path / "out.parquet", again).resumed == 50
    assert again.begun[0] == 50
    assert pl.read_parquet(tmp_path / "out.parquet")["n"].to_list() == list(range(95))


def snapshot(found: Model) -> Snapshot:
    return Snapshot(canary(), {1: found, 2: found})


@pytest.mark.parametrize("functions", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("target", ["Churn", "level", "risk"])
def test_unlogged_answers_are_those_of_the_server(target: str, compiled: bool, functions: bool, tmp_path: Path) -> None:
    source = {} if functions else {"source": ""}
    found = open_model(bundle(target, compiled=compiled, **source))
    ROWS.write_csv(tmp_path / "rows.csv")
    done = bulk.score(
        CsvSource(str(tmp_path / "rows.csv")),
        tmp_path / "out.parquet",
        bulk.here(scoring.unlogged(snapshot(found), "score")),
        "p",
        lambda _: None,
        rows=30,
    )
    expected = found.answer(ROWS.to_dicts())
    got = pl.read_parquet(tmp_path / "out.parquet")
    assert got["score"].to_list() == [answer.score for answer in expected]
    assert got["prediction"].to_list() == [answer.prediction for answer in expected]
    assert got["customerID"].to_list() == ROWS["customerID"].to_list()
    assert (done.versions, got["arm"].unique().to_list()) == ({1: 95}, ["champion"])


def test_logged_answers_are_in_the_log(tmp_path: Path) -> None:
    log = MemoryLog()
    predictor = Predictor(log)
    predictor.swap(one(), {1: model()})
    ROWS.write_parquet(tmp_path / "rows.parquet")
    answer = scoring.logged(predictor, "score")
    bulk.score(
        ParquetSource(str(tmp_path / "rows.parquet")),
        tmp_path / "o.parquet",
        bulk.here(answer),
        "p",
        lambda _: None,
        30,
    )
    assert pl.read_parquet(tmp_path / "o.parquet")["id"].to_list() == [record.id for record in log.records]


@pytest.mark.parametrize("logged", [True, False])
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("plan", "gold", "row 61, plan: 'gold' is impossible"), ("tenure", "500", "is impossible; allowed: 0 to 120")],
)
def test_a_refused_row_is_counted_as_in_the_file(
    logged: bool, column: str, value: Any, words: str, tmp_path: Path
) -> None:
    changed = pl.when(pl.int_range(pl.len()) == 60).then(pl.lit(value)).otherwise(pl.col(column).cast(pl.String))
    ROWS.with_columns(changed.alias(column)).write_csv(tmp_path / "rows.csv")
    found = snapshot(model())
    predictor = Predictor(MemoryLog())
    predictor.swap(one(), {1: model()})
    answer = scoring.logged(predictor, "score") if logged else scoring.unlogged(found, "score")
    with pytest.raises(RequestError) as told:
        bulk.score(CsvSource(str(tmp_path / "rows.csv")), None, bulk.here(answer), "p", lambda _: None, rows=25)
    assert words in str(told.value)


def test_an_unreadable_value_is_counted_as_in_the_file(tmp_path: Path) -> None:
    changed = pl.when(pl.int_range(pl.len()) == 60).then(pl.lit("x")).otherwise(pl.col("tenure").cast(pl.String))
    ROWS.with_columns(changed.alias("tenure")).write_csv(tmp_path / "rows.csv")
    answer = scoring.unlogged(snapshot(model()), "score")
    with pytest.raises(Exception, match="column 'tenure', row 61: 'x' is not a number"):
        bulk.score(CsvSource(str(tmp_path / "rows.csv")), None, bulk.here(answer), "p", lambda _: None, rows=25)
