from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.unit.serving_models import RULES, bundle, model, one, table

from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.serial import SerialExecutor
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import RequestError
from everfit.flow import bulk, scattered, scoring
from everfit.ports import Executor
from everfit.serving.arms import Snapshot

ROWS = table(95).drop("Churn", "risk", "level")


def scored(answers: bulk.Answers, folder: Path, name: str, rows: pl.DataFrame = ROWS) -> bytes:
    rows.write_parquet(folder / "rows.parquet")
    target, told = folder / name, list[int]()
    bulk.score(ParquetSource(str(folder / "rows.parquet")), target, answers, "plan", told.append, rows=20)
    assert told == [20, 40, 60, 80, 95]
    return target.read_bytes()


def by(executor: Executor, digest: str = "a") -> bulk.Answers:
    return scattered.elsewhere(executor, scattered.job(bundle(), digest, (), one().arms[0], "score"))


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessesExecutor(2)])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_executor_s_workers_write_the_same_file(executor: Executor, suffix: str, tmp_path: Path) -> None:
    here = bulk.here(scoring.unlogged(Snapshot(one(), {1: model()}), "score"))
    expected = scored(here, tmp_path, f"here.{suffix}")
    assert scored(by(executor), tmp_path, f"elsewhere.{suffix}") == expected


def test_a_worker_opens_another_model_when_another_job_comes(tmp_path: Path) -> None:
    first = scored(by(SerialExecutor(), "first"), tmp_path, "first.csv")
    other = scattered.job(bundle("risk"), "second", (), one().arms[0], "score")
    assert scored(scattered.elsewhere(SerialExecutor(), other), tmp_path, "second.csv") != first
    assert scored(by(SerialExecutor(), "first"), tmp_path, "again.csv") == first


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessesExecutor(2)])
def test_a_refused_row_is_named_and_finished_pieces_are_kept(executor: Executor, tmp_path: Path) -> None:
    changed = pl.when(pl.int_range(pl.len()) == 60).then(pl.lit("gold")).otherwise("plan").alias("plan")
    with pytest.raises(RequestError, match="row 61, plan: 'gold' is impossible"):
        scored(by(executor), tmp_path, "out.csv", ROWS.with_columns(changed))
    assert [rule.column for rule in RULES if rule.allowed] == ["plan"]
    kept = sorted(part.name for part in (tmp_path / ".out.csv.parts").glob("*.arrow"))
    assert kept == [f"{place:08}.arrow" for place in range(len(kept))]
    # Processes stop at the first error that they meet, which may be before an earlier piece has come back.
    assert len(kept) == 3 or (len(kept) < 3 and isinstance(executor, ProcessesExecutor))
