"""Which rows are held out for the test: a random, a temporal or a grouped split, each reproducible from its seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.data.lots import lots
from everfit.data.named import demand_column
from everfit.errors import ChecksFailed, ProjectError
from everfit.project.sections.data import Split

Mask = NDArray[np.bool_]
# How many orders of the groups are tried for one in which both parts have the classes alike.
_ORDERS = 25


def test_rows(
    frame: pl.DataFrame, split: Split, y: NDArray[Any], stratify: bool, time: str | None, entity: str | None
) -> Mask:
    """True for the rows of the test, shape (rows,).

    random: each class gives its share, to the row (`stratify`, for classes), by lots that belong to the entity, or to
    the row's content, so that nearly all stay where they were as the table grows or is reordered; time: the newest
    rows, with rows of the same time never divided; group: whole groups. `y` are class indices when `stratify` is set.

    Raises ProjectError for a setting that cannot work and ChecksFailed for data that cannot be split so.

    >>> y = np.array([0] * 15 + [1] * 5)
    >>> mask = test_rows(pl.DataFrame({"x": y}), Split(test=0.2), y, stratify=True, time=None, entity=None)
    >>> int(mask.sum()), int(mask[y == 1].sum())
    (4, 1)
    """
    if not 0 < split.test < 1:
        raise ProjectError(
            f"a test share of {split.test:g} leaves no rows for the {'test' if split.test == 0 else 'training'}",
            where="data.split.test",
            fix="write a share such as 20%",
        )
    if frame.height < 2:
        raise ChecksFailed(f"a table of {frame.height} rows cannot be split", fix="take a table with more rows")
    if split.by == "time":
        mask = _newest(_times(frame, time), split.test)
    elif split.by == "group":
        mask = _groups(_group_codes(frame, split.group), split.test, y if stratify else None, split.seed)
    else:
        drawn = lots(frame, entity, split.seed)
        mask = _lowest(drawn, y if stratify else np.zeros(frame.height, dtype=np.int64), split.test)
    if stratify:
        _demand_classes(y, mask, split.by)
    return mask


test_rows.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test


def _lowest(drawn: NDArray[np.float64], y: NDArray[Any], share: float) -> Mask:
    classes, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ChecksFailed(
            f"class {classes[counts.argmin()]} of the target has one row, which cannot be in both training and test",
            where="data.split",
            fix="leave that class out, or collect more rows of it",
        )
    # The rank of each row within its class by its lot: the first of them are the test.
    order = np.lexsort((drawn, inverse))
    rank = np.empty(len(y), dtype=np.int64)
    rank[order] = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    mask: Mask = rank < _quotas(counts, share)[inverse]
    return mask


def _quotas(counts: NDArray[Any], share: float) -> NDArray[Any]:
    """Test rows of each class: its share rounded down, what is left to the largest remainders, and never all or none
    of a class."""
    exact = counts * share
    quotas = np.floor(exact).astype(np.int64)
    left = round(float(exact.sum())) - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:left]] += 1
    limited: NDArray[Any] = np.clip(quotas, 1, counts - 1)
    return limited


def _times(frame: pl.DataFrame, time: str | None) -> NDArray[Any]:
    if time is None:
        raise ProjectError(
            "a split by time needs to know the time column", where="data.split.by", fix="write data.time: COLUMN"
        )
    _demand_values(frame, time, "data.time")
    return frame[time].rank("dense").to_numpy()


def _newest(rank: NDArray[Any], share: float) -> Mask:
    _, counts = np.unique(rank, return_counts=True)
    if len(counts) < 2:
        raise ChecksFailed(
            "all rows have the same time, so that none is newer",
            where="data.split.by",
            fix="write data.split: {by: random}, or name another time column",
        )
    rows_from = np.cumsum(counts[::-1])[::-1]
    start = 1 + np.abs(rows_from[1:] - share * len(rank)).argmin()
    mask: Mask = rank >= start + 1
    return mask


def _group_codes(frame: pl.DataFrame, group: str | None) -> NDArray[Any]:
    if group is None:
        raise ProjectError("`by: group` needs the group's column", where="data.split", fix="write group: COLUMN")
    _demand_values(frame, group, "data.split.group")
    # Dense ranks depend on the set of groups only, so the order of the rows does not change the split.
    return frame[group].rank("dense").to_numpy().astype(np.int64) - 1


def _groups(codes: NDArray[Any], share: float, y: NDArray[Any] | None, seed: int) -> Mask:
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise ChecksFailed(
            "there is one group only, which cannot be in both training and test",
            where="data.split.group",
            fix="write data.split: {by: random}, or name another column",
        )
    rng = np.random.default_rng(seed)
    masks = [_one_order(codes, sizes, share, rng) for _ in range(_ORDERS if y is not None else 1)]
    return masks[0] if y is None else min(masks, key=lambda mask: _imbalance(y, mask, share))


def _one_order(codes: NDArray[Any], sizes: NDArray[Any], share: float, rng: np.random.Generator) -> Mask:
    order = np.argsort(rng.random(len(sizes)), kind="stable")
    taken = 1 + np.abs(np.cumsum(sizes[order])[:-1] - share * len(codes)).argmin()
    in_test = np.zeros(len(sizes), dtype=np.bool_)
    in_test[order[:taken]] = True
    mask: Mask = in_test[codes]
    return mask


def _imbalance(y: NDArray[Any], mask: Mask, share: float) -> float:
    """How far the test's share of the worst class is from what was asked; a class missing from a part is worst."""
    _, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    tested = np.bincount(inverse, weights=mask, minlength=len(counts))
    one_sided = np.count_nonzero((tested == 0) | (tested == counts))
    return float(one_sided * len(y) + np.abs(tested / counts - share).max())


def _demand_values(frame: pl.DataFrame, column: str, where: str) -> None:
    demand_column(column, frame.columns, where)
    missing = frame[column].is_null()
    if missing.any():
        raise ChecksFailed(
            f"{column} is missing in {missing.sum()} rows, first in row {(missing.arg_max() or 0) + 1}",
            where=where,
            fix="fill in the values, or leave those rows out",
        )


def _demand_classes(y: NDArray[Any], mask: Mask, by: str) -> None:
    every = set(np.unique(y).tolist())
    for part, rows in (("training", ~mask), ("test", mask)):
        absent = sorted(every - set(np.unique(y[rows]).tolist()))
        if absent:
            raise ChecksFailed(
                f"no row of class {absent[0]} of the target is among the {part} rows",
                where=f"data.split.by: {by}",
                fix="set another test share, split at random, or collect more rows of that class",
            )
