"""What a look pays for the labels, when there are many: those of its window, and those that are new since the last.

Labels of ten months, stored as they come, one in fifty of them corrected a day later. Processor seconds in one process:
all labels as records, as every look once read them; the last month's as columns by a process that has read nothing yet
(`everfit monitor`); and the same again when a thousand more have come (`everfit up`).

    python -m benchmarks.label_store [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import report, table
from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.records.prediction import Label
from everfit.serving.identity import new_ids
from everfit.testing.labels import latest

END = datetime(2026, 11, 1, tzinfo=UTC)
MONTH, MONTHS = timedelta(days=30), 10


def labels(count: int, at: datetime, seed: int) -> list[Label]:
    """So many of one moment, and the corrections of one in fifty."""
    random = np.random.default_rng(seed)
    truths = np.where(random.random(count) < 0.3, "Yes", "No").tolist()
    found = [Label(name, truth, at, stored_at=at) for name, truth in zip(new_ids(at, count), truths, strict=True)]
    later = at + timedelta(days=1)
    return found + [Label(one.prediction_id, "Maybe", later, stored_at=later) for one in found[::50]]


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measured(size: int, path: Path) -> tuple[int, tuple[float, ...]]:
    """The labels that the window holds, and the seconds to store all, read all, read the window, and read it again."""
    writer, since = SqliteLabels(path), END - MONTH - timedelta(days=2)
    months = [labels(size // MONTHS, END - month * MONTH, month) for month in range(MONTHS, 0, -1)]
    stored = sum(seconds(partial(writer.put, some)) for some in months)
    whole = seconds(partial(latest, SqliteLabels(path)))
    looking = SqliteLabels(path)
    fresh = seconds(partial(looking.frame, since))
    writer.put(labels(1_000, END, 0))
    later = seconds(partial(looking.frame, since))
    return looking.frame(since).height, (stored, whole, fresh, later)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 labels only")
    options = parser.parse_args()
    rows: list[list[str | int | float]] = []
    first = again = 0.0
    for size in (100_000,) if options.quick else (100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as folder:
            found, taken = measured(size, Path(folder) / "labels.db")
        first, again = taken[1] / taken[2], taken[1] / taken[3]
        rows.append([size, found, *(round(one, 3) for one in taken)])
    table(["labels", "in the window", "stored in", "all as records", "the window's", "again, 1,000 more"], rows)
    print(f"\nThe window costs 1/{first:.0f} of all of them, a later look 1/{again:.0f}.")
    report("label_store", round(first, 1), "a look at a tenth of the labels costs a fifth of all or less", first >= 5)


if __name__ == "__main__":
    main()
