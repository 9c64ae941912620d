"""What a scrape of /metrics costs as the history grows: the first one after a start, and each one after it.

The state holds years: looks of twenty columns, runs, alarms and a ledger. The same records are read whole at every
scrape, and as a server reads them: once, and then what is new. Seconds are medians; the ratio is of one process.

    python -m benchmarks.metrics_scrape [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.report import Cell, report, table
from everfit.adapters.state.sqlite import SqliteState
from everfit.flow import alerting, monitoring
from everfit.flow.observed import Observer, observed
from everfit.flow.run import RUNS
from everfit.records.codec import encode
from everfit.records.run import RunRecord, Status, StepRecord
from everfit.records.watch import Alarm, AlarmKind, ColumnDrift, Decision, DriftReport, MonitorReport

GOAL = 20.0
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = tuple(
    ColumnDrift(f"column {n}", "kolmogorov_smirnov", 0.01, 0.4, 1.0, 0.01, False, 0.02, 1.0, 0.01, 0.01)
    for n in range(20)
)


def filled(folder: Path, looks: int) -> SqliteState:
    """A state with so many looks, a tenth as many runs and a hundredth as many alarms."""
    state = SqliteState(folder / f"{looks}.db")
    steps = tuple(StepRecord(f"step {n}", Status.DONE, "k" * 64, "o" * 64, 1.0, "nothing changed") for n in range(40))
    documents = {
        monitoring.LOOKS: [encode(_look(_AT + timedelta(hours=n))) for n in range(looks)],
        RUNS: [
            encode(RunRecord(f"{n}", "training", Status.DONE, _AT, _AT + timedelta(seconds=9), steps))
            for n in range(looks // 10)
        ],
        alerting.ALARMS: [encode(Alarm(f"{n}", AlarmKind.DRIFT, _AT, "moved")) for n in range(looks // 100)],
    }
    with state._database.write() as connection:  # noqa: SLF001  one transaction, in place of a sync for each document
        for stream, texts in documents.items():
            rows = [(stream, number, text) for number, text in enumerate(texts, 1)]
            connection.executemany("INSERT INTO documents VALUES (?, ?, ?)", rows)
    return state


def _look(at: datetime) -> MonitorReport:
    drift = DriftReport(500, at, at, _COLUMNS, _COLUMNS[0], 0.001, 0.02)
    return MonitorReport(at, 500, drift, None, None, (), Decision(at, False, None, ("nothing drifted",)))


def seconds(work: Callable[[], object], times: int) -> float:
    """The median of so many calls."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 looks only")
    sizes = [2_000] if parser.parse_args().quick else [2_000, 20_000, 70_000]
    rows: list[list[Cell]] = []
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            state = filled(Path(folder), size)
            whole = seconds(lambda state=state: monitoring.looks(state), 3)  # type: ignore[misc]
            first = seconds(lambda state=state: observed(state), 3)  # type: ignore[misc]
            observer = Observer(state)
            observer()
            after = seconds(observer, 50)
            ratios.append(whole / after)
            rows.append([size, 1000 * whole, 1000 * first, 1000 * after, whole / after])
    table(("looks", "all looks read, ms", "first scrape, ms", "each after it, ms", "ratio"), rows)
    goal = f"each scrape at least {GOAL:.0f}x cheaper than reading the looks"
    report("metrics_scrape", round(min(ratios), 1), goal, min(ratios) >= GOAL)


if __name__ == "__main__":
    main()
