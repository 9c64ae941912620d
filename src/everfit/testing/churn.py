"""Customers of a telephone company who leave or stay: seeded tables of any size, with drifts that are known.

A row is a customer at one moment. The columns are drawn from each other, so that they hang together as in a real
company: the segment decides the contract, the contract the tenure, the services the monthly charge, both the total.
Whether the customer leaves is then drawn from a logistic function of the columns with a few curves and interactions,
so that a good model reaches an area under the ROC curve of about .85 and none can do much better. A few values are
missing. The same arguments give the same table; another seed gives other customers of the same company.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Literal
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.errors import ProjectError

Array = NDArray[Any]
Columns = dict[str, Array]
Draw = Callable[[str], np.random.Generator]

ENTITY, TIME, TARGET, POSITIVE = "customer_id", "event_timestamp", "churn", "Yes"

_NO_YES = ("No", "Yes")
_ADD_ONS = ("online_security", "tech_support", "streaming_tv", "streaming_movies")
_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gender": ("Female", "Male"),
        "customer_segment": ("basic", "family", "premium", "senior"),
        "contract_type": ("Month-to-month", "One year", "Two year"),
        "payment_method": ("Bank transfer", "Credit card", "Electronic check", "Mailed check"),
        "internet_service": ("DSL", "Fiber optic", "No"),
        **dict.fromkeys(_ADD_ONS, (*_NO_YES, "No internet service")),
        **dict.fromkeys(("partner", "dependents", "multiple_lines", "paperless_billing", TARGET), _NO_YES),
    }
)
FEATURES = (
    *("gender", "age", "senior_citizen", "partner", "dependents", "customer_segment", "tenure"),
    *("contract_type", "payment_method", "paperless_billing", "internet_service", *_ADD_ONS, "multiple_lines"),
    *("monthly_charges", "total_charges", "total_purchases", "avg_purchase_amount"),
)
_NULL_SHARES = MappingProxyType({"age": 0.02, "avg_purchase_amount": 0.03, "tech_support": 0.01})
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Drift:
    """A change of the world from the moment `after` on; `strength` 1 is plain to see, 0 is no change.

    - covariate: monthly charges rise by 25 % and two thirds of the longer contracts become month-to-month; what makes
      a customer leave stays the same function of the columns;
    - prior: everybody leaves more readily (log odds + 1), the columns stay;
    - concept: contract, tenure and payment count the other way round (at .5 not at all, so that the best possible
      model reaches .73 there, and .87 again at 1), the columns stay;
    - missing: `column` is missing in half of the rows.

    Rows before `after` are the same with and without the drift.
    """

    kind: Literal["covariate", "prior", "concept", "missing"]
    strength: float
    after: datetime
    column: str = "monthly_charges"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ProjectError(f"a drift's strength is between 0 and 1, not {self.strength}")
        if self.column not in FEATURES:
            raise ProjectError(f"there is no column `{self.column}` to drift", fix=f"one of {', '.join(FEATURES)}")

    def changed(self, times: pl.Series) -> pl.Series:
        """Which rows, by their time, are after the drift.

        >>> times = pl.Series([datetime(2025, 2, 28), datetime(2025, 3, 1)])
        >>> Drift("prior", 0.5, datetime(2025, 3, 1)).changed(times).to_list()
        [False, True]
        """
        return (times >= self.after).alias("drifted")


def customers(
    rows: int,
    seed: int,
    start: datetime,
    days: int,
    drift: Drift | Sequence[Drift] | None = None,
    *,
    seasonal: bool = True,
    first: int = 0,
    truth: bool = False,
) -> pl.DataFrame:
    """`rows` customers at moments in [start, start + days), oldest first, with their `churn` ("Yes" or "No").

    Seasons, unless `seasonal` is off: more happens on working days, by day and before Christmas; purchases are larger
    at weekends and in December; people leave more on Mondays and in January. Identifiers count from `first`, for tables
    that share no customer. `drift` is one, or several of different kinds. `start` and the drift's `after` are both
    naive or both aware. With `truth` there are two more columns: `true_probability` of leaving, and `drifted`, whether
    the row is after a drift.

    ProjectError without a row or a day.

    >>> frame = customers(1_000, seed=7, start=datetime(2025, 1, 1), days=30)
    >>> frame.height, frame["churn"].unique().sort().to_list(), frame["customer_id"][0]
    (1000, ['No', 'Yes'], 'C00000000')
    >>> frame.equals(customers(1_000, seed=7, start=datetime(2025, 1, 1), days=30))
    True
    """
    drifts = (drift,) if isinstance(drift, Drift) else tuple(drift or ())
    _check(rows, days, start, drifts)
    draw = partial(_stream, seed)
    season = 1.0 if seasonal else 0.0
    seconds = _seconds(rows, start, days, season, draw("time"))
    times = _times(seconds, start)
    changed = {one.kind: one.changed(times).to_numpy() for one in drifts}
    force: dict[str, Array] = {one.kind: changed[one.kind] * one.strength for one in drifts}
    columns = _people(rows, draw)
    columns |= _services(columns, draw)
    columns |= _money(columns, _calendar(seconds, start), season, draw)
    columns |= _shifted(columns, force.get("covariate", np.zeros(rows)), draw)
    chance = 1 / (1 + np.exp(-_log_odds(columns, _calendar(seconds, start), season, force)))
    columns[TARGET] = (draw(TARGET).random(rows) < chance).astype(np.int64)
    missing = {one.column: force["missing"] for one in drifts if one.kind == "missing"}
    frame = _frame(columns, times, first, missing, draw)
    drifted = np.any([np.zeros(rows, dtype=bool), *changed.values()], axis=0)
    return frame.with_columns(true_probability=chance, drifted=drifted) if truth else frame


def labels(frame: pl.DataFrame, delay: timedelta, seed: int, coverage: float = 1.0) -> pl.DataFrame:
    """When each customer's churn becomes known: customer_id, churn, known_at; the earliest known first.

    A label comes `delay` after the row's moment at the earliest, and up to a quarter of it later; a share of
    1 - `coverage` never comes.

    >>> frame = customers(100, seed=7, start=datetime(2025, 1, 1), days=30)
    >>> known = labels(frame, timedelta(days=20), seed=1)
    >>> known.columns, known.height, known["known_at"].min() >= datetime(2025, 1, 21)
    (['customer_id', 'churn', 'known_at'], 100, True)
    """
    random = _stream(seed, "labels")
    late = pl.Series((1 + 0.25 * random.random(frame.height)) * delay.total_seconds() * 1e6).cast(pl.Int64)
    arrives = pl.Series(random.random(frame.height) < coverage)
    known = (pl.col(TIME) + late.cast(pl.Duration("us"))).alias("known_at")
    return frame.select(ENTITY, TARGET, known).filter(arrives).sort("known_at", ENTITY)


def _check(rows: int, days: int, start: datetime, drifts: Sequence[Drift]) -> None:
    if rows < 1 or days < 1:
        raise ProjectError(f"a table needs at least one row and one day, not {rows} and {days}")
    if any((drift.after.tzinfo is None) != (start.tzinfo is None) for drift in drifts):
        raise ProjectError("one of `start` and the drift's `after` has a time zone", fix="give both one, or none")


def _stream(seed: int, name: str) -> np.random.Generator:
    """A stream a column, so that a change in one column leaves the others as they are."""
    return np.random.default_rng([seed, crc32(name.encode())])


def _seconds(rows: int, start: datetime, days: int, season: float, random: np.random.Generator) -> Array:
    hours = np.arange(days * 24) * _HOUR
    day_of_year, weekday, hour = _calendar(hours, start)
    year = 1 + 0.2 * np.cos(2 * np.pi * (day_of_year - 350) / 365.25)
    week = np.array([1.1, 1.05, 1.0, 1.0, 1.05, 0.7, 0.55])[weekday]
    busy = (year * week * (1 - 0.8 * np.cos(2 * np.pi * (hour - 3) / 24))) ** season
    place = np.cumsum(busy) / busy.sum()
    ends = np.append(hours[1:], days * 24 * _HOUR)
    found = np.interp(np.sort(random.random(rows)), np.append(0.0, place), np.append(0, ends))
    moments: Array = np.minimum(found.astype(np.int64), days * 24 * _HOUR - 1)
    return moments


def _times(seconds: Array, start: datetime) -> pl.Series:
    offsets = pl.Series(seconds * 1_000_000, dtype=pl.Int64).cast(pl.Duration("us"))
    return pl.select((pl.lit(start, dtype=None) + offsets).alias(TIME)).to_series()


def _calendar(seconds: Array, start: datetime) -> tuple[Array, Array, Array]:
    """Day of the year from 0, weekday (Monday 0) and hour of the day of each moment."""
    midnight = start.hour * _HOUR + start.minute * 60 + start.second
    day = (seconds + midnight) // (24 * _HOUR)
    day_of_year = (start.timetuple().tm_yday - 1 + day) % 365.25
    return day_of_year, (start.weekday() + day) % 7, (seconds + midnight) // _HOUR % 24


def _choose(share: list[list[float]], group: Array, random: np.random.Generator) -> Array:
    """An index into the levels for each row, by the shares of the row's group (groups, levels)."""
    ends = np.cumsum(np.array(share), axis=1)[:, :-1]
    level: Array = (random.random(len(group))[:, None] >= ends[group]).sum(axis=1)
    return level


def _flag(chance: Array | float, name: str, rows: int, draw: Draw) -> Array:
    return (draw(name).random(rows) < chance).astype(np.int64)


def _people(rows: int, draw: Draw) -> Columns:
    segment = _choose([[0.42, 0.26, 0.15, 0.17]], np.zeros(rows, dtype=np.int64), draw("customer_segment"))
    low, wide = np.array([18, 26, 24, 65])[segment], np.array([46, 30, 40, 28])[segment]
    age = (low + wide * draw("age").beta(1.4, 1.9, rows)).astype(np.int64)
    partner = _flag(np.array([0.3, 0.85, 0.5, 0.5])[segment], "partner", rows, draw)
    dependents = _flag(np.array([0.1, 0.75, 0.25, 0.05])[segment] * (0.6 + 0.4 * partner), "dependents", rows, draw)
    return {
        "customer_segment": segment,
        "gender": _flag(0.5, "gender", rows, draw),
        "age": age,
        "senior_citizen": (age >= 65).astype(np.int64),
        "partner": partner,
        "dependents": dependents,
    }


def _services(people: Columns, draw: Draw) -> Columns:
    segment, age, rows = people["customer_segment"], people["age"], len(people["age"])
    contract = _choose(
        [[0.70, 0.18, 0.12], [0.42, 0.26, 0.32], [0.45, 0.27, 0.28], [0.50, 0.22, 0.28]], segment, draw("contract_type")
    )
    stay = draw("tenure").exponential(np.array([19.0, 26.0, 38.0])[contract])
    internet = _choose(
        [[0.38, 0.38, 0.24], [0.42, 0.42, 0.16], [0.20, 0.74, 0.06], [0.36, 0.28, 0.36]],
        segment,
        draw("internet_service"),
    )
    wanted = {"online_security": 0.36, "tech_support": 0.37, "streaming_tv": 0.49, "streaming_movies": 0.49}
    add_ons = {name: _flag(share, name, rows, draw) for name, share in wanted.items()}
    young = np.clip((70 - age) / 50, 0, 1)
    paying = np.where(young > 0.5, 1, 0) + 2 * (contract == 0)
    payment = [[0.34, 0.28, 0.14, 0.24], [0.30, 0.38, 0.18, 0.14], [0.16, 0.14, 0.42, 0.28], [0.15, 0.19, 0.50, 0.16]]
    return {
        "contract_type": contract,
        "tenure": np.minimum(np.array([0, 8, 18])[contract] + stay, 72).astype(np.int64),
        "internet_service": internet,
        **{name: np.where(internet == 2, 2, has) for name, has in add_ons.items()},
        "multiple_lines": _flag(0.3 + 0.25 * (segment == 1), "multiple_lines", rows, draw),
        "paperless_billing": _flag(0.35 + 0.4 * young, "paperless_billing", rows, draw),
        "payment_method": _choose(payment, paying, draw("payment_method")),
    }


def _money(known: Columns, calendar: tuple[Array, Array, Array], season: float, draw: Draw) -> Columns:
    rows, tenure = len(known["age"]), known["tenure"]
    prices = {"online_security": 5, "tech_support": 5, "streaming_tv": 10, "streaming_movies": 10, "multiple_lines": 5}
    extras = sum(price * (known[name] == 1) for name, price in prices.items())
    basis = np.array([44.0, 69.0, 19.5])[known["internet_service"]] + extras
    monthly = (basis + draw("monthly_charges").normal(0, 2, rows)).round(2)
    total = (monthly * tenure * draw("total_charges").uniform(0.9, 1.05, rows)).round(2)
    habit = draw("habit").gamma(2.0, 0.5, rows)
    spree = 0.12 * np.cos(2 * np.pi * (calendar[0] - 350) / 365.25) + 0.15 * (calendar[1] >= 5)
    size = np.array([32.0, 44.0, 70.0, 28.0])[known["customer_segment"]] * (1 + season * spree)
    return {
        "monthly_charges": monthly,
        "total_charges": np.where(tenure == 0, np.nan, total),
        "total_purchases": draw("total_purchases").poisson(habit * np.maximum(tenure, 1)),
        "avg_purchase_amount": (size * draw("avg_purchase_amount").lognormal(0, 0.35, rows)).round(2),
    }


def _shifted(columns: Columns, force: Array, draw: Draw) -> Columns:
    leaves = (draw("covariate").random(len(force)) < force * 2 / 3) & (columns["contract_type"] > 0)
    return {
        "contract_type": np.where(leaves, 0, columns["contract_type"]),
        "monthly_charges": (columns["monthly_charges"] * (1 + 0.25 * force)).round(2),
    }


def _log_odds(c: Columns, calendar: tuple[Array, Array, Array], season: float, force: Mapping[str, Array]) -> Array:
    """The logarithm of the odds of leaving; what a concept drift turns round is kept apart, about its mean."""
    turned = (
        np.array([0.9, -0.6, -1.6])[c["contract_type"]]
        - 0.024 * (c["tenure"] - 25)
        + 0.7 * (c["tenure"] < 6)
        + np.array([-0.2, -0.25, 0.45, -0.05])[c["payment_method"]]
    )
    pace = c["total_purchases"] / np.maximum(c["tenure"], 1)
    dear = (c["monthly_charges"] - 65) / 30
    steady = (
        np.array([0.0, 0.6, -0.5])[c["internet_service"]]
        + 0.4 * dear
        + 0.7 * ((c["internet_service"] == 1) & (c["contract_type"] == 0) & (dear > 0.8))
        - 0.8 * np.tanh(pace - 1)
        - 0.45 * (c["tech_support"] == 1)
        - 0.5 * (c["online_security"] == 1)
        - 0.3 * c["dependents"]
        + 0.2 * c["paperless_billing"]
        + 0.25 * np.square((c["age"] - 48) / 20)
    )
    when = 0.15 * (calendar[1] == 0) + 0.25 * (calendar[0] < 31)
    sign = 1 - 2 * force.get("concept", np.zeros(1))
    odds: Array = -1.85 + sign * turned + steady + season * when + force.get("prior", np.zeros(1))
    return odds


def _frame(
    columns: Columns,
    times: pl.Series,
    first: int,
    missing: Mapping[str, Array],
    draw: Draw,
) -> pl.DataFrame:
    rows = len(times)
    number = pl.int_range(first, first + rows, eager=True).cast(pl.String).str.zfill(8)
    series = [("C" + number).alias(ENTITY), times]
    for name in (*FEATURES, TARGET):
        values = _text(name, columns[name]) if name in _LEVELS else pl.Series(name, columns[name], nan_to_null=True)
        share = _NULL_SHARES.get(name, 0.0) + 0.5 * missing.get(name, np.zeros(1))
        gone = draw(f"{name} missing").random(rows) < share if np.any(share) else np.zeros(1, dtype=bool)
        series.append(values.set(pl.Series(np.broadcast_to(gone, rows)), None) if gone.any() else values)
    return pl.DataFrame(series)


def _text(name: str, codes: Array) -> pl.Series:
    return pl.Series(name, _LEVELS[name]).gather(codes)
