"""One drift look by one tool, timed: `drift_contestants.py NAME FOLDER`, run by `drift_speed` with the interpreter of
the tool's own environment. Prints one JSON object: seconds, and MB beyond what the process held before."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Look = Callable[[], object]


def sort(data: Path) -> Look:
    """numpy's sort of the current side's columns; levels as the numbers that stand for them."""
    import numpy as np
    import polars as pl

    now = pl.read_parquet(data / "current.parquet")
    coded = [c.cast(pl.Categorical).to_physical() if c.dtype == pl.String else c for c in now]
    arrays = [column.fill_null(0).cast(pl.Float64).to_numpy() for column in coded]
    return lambda: [np.sort(column) for column in arrays]


def everfit(data: Path, exact: bool = False) -> Look:
    """All tests and distances, from the profile or from the reference's sorted values."""
    import numpy as np
    import polars as pl

    from everfit.monitoring.drift import Floors, column_tests, judged
    from everfit.monitoring.profile import profile
    from everfit.records.table import Kind

    then, now = (_categorical(pl.read_parquet(data / f"{side}.parquet")) for side in ("reference", "current"))
    kinds = {c.name: Kind.NUMERIC if c.dtype == pl.Float64 else Kind.CATEGORICAL for c in then}
    known = profile({c.name: c for c in then}, kinds, np.zeros(1), "roc_auc", 0.8, 1)
    numeric = [c for c in then if c.dtype == pl.Float64] if exact else []
    whole = {c.name: np.sort(c.drop_nulls().to_numpy()) for c in numeric}
    current = {c.name: c for c in now}
    del then, numeric
    column_tests(known, {name: column[:1000] for name, column in current.items()}, whole)
    return lambda: judged(column_tests(known, current, whole), 0.02, Floors(0.02))


def _categorical(table: Any) -> Any:
    import polars as pl

    text = [c for c in table if c.dtype == pl.String]
    return table.with_columns(c.cast(pl.Enum(c.unique().drop_nulls().sort())) for c in text)


def scipy(data: Path) -> Look:
    """Kolmogorov-Smirnov or chi-square, and Jensen-Shannon, for one column after the other."""
    import numpy as np
    import polars as pl
    from scipy import stats
    from scipy.spatial.distance import jensenshannon

    then, now = (_categorical(pl.read_parquet(data / f"{side}.parquet")) for side in ("reference", "current"))
    then, now = (side.with_columns(pl.col(pl.Enum).cast(pl.Categorical)) for side in (then, now))

    def look() -> None:
        for name in then.columns:
            a, b = then[name].drop_nulls(), now[name].drop_nulls()
            if then[name].dtype == pl.Float64:
                stats.ks_2samp(a.to_numpy(), b.to_numpy(), method="asymp")
                cuts = np.histogram_bin_edges(a.to_numpy(), 30)
                counts = [np.histogram(x.to_numpy(), cuts)[0] for x in (a, b)]
            else:
                joined = a.value_counts().join(b.value_counts(), on=name, how="full", coalesce=True).fill_null(0)
                counts = [joined["count"].to_numpy(), joined["count_right"].to_numpy()]
                stats.chi2_contingency(np.array(counts) + 1)
            jensenshannon(counts[0], counts[1], base=2)

    return look


def evidently(data: Path) -> Look:
    """Evidently's preset, from pandas."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    then, now = (pd.read_parquet(data / f"{side}.parquet") for side in ("reference", "current"))
    return lambda: Report([DataDriftPreset()]).run(now, then)


def nannyml(data: Path) -> Look:
    """NannyML's univariate drift, the current rows as one chunk, from pandas."""
    import nannyml as nml
    import pandas as pd

    then, now = (pd.read_parquet(data / f"{side}.parquet") for side in ("reference", "current"))

    def look() -> object:
        calculator = nml.UnivariateDriftCalculator(
            column_names=list(then.columns),
            chunk_number=1,
            continuous_methods=["kolmogorov_smirnov", "jensen_shannon"],
            categorical_methods=["chi2", "jensen_shannon"],
        )
        return calculator.fit(then).calculate(now)

    return look


LOOKS: dict[str, Callable[[Path], Look]] = {
    "sort": sort,
    "everfit": everfit,
    "everfit, exact": lambda data: everfit(data, exact=True),
    "scipy": scipy,
    "Evidently": evidently,
    "NannyML": nannyml,
}


def peak() -> float:
    """MB that the process held at most since the last reset, or ever where there is none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    name, data = sys.argv[1], Path(sys.argv[2])
    look = LOOKS[name](data)
    look() if name not in ("Evidently", "NannyML") else None  # their first run is what their users see, too
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    start = time.perf_counter()
    look()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "mb": peak() - before}))


if __name__ == "__main__":
    main()
