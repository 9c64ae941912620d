"""A year of churn traffic, and what four ways of retraining make of it.

Every day 150 customers are scored; whether they leave is known 30 days later. Traffic has weekdays and a slow season.
On day 70 the mix of regions changes and on day 130 a column moves by a standard deviation: neither has to do with
leaving. From day 190 on another kind of customer comes, of whom the model has seen few. On day 270 what makes
customers leave changes. Once a week each policy may retrain, on the labelled rows of the last 45 days:

- never;
- monthly: every 30 days, and released whatever it is;
- the sources' rule: whenever a Kolmogorov-Smirnov or chi-square test of a column says p < .05, and released;
- everfit: drift, estimate, performance by windows and label by label, and the policy, all with their default settings;
  a challenger is released only if it beats the champion on the newest labelled rows, which neither has learned from;
- everfit, told: the same, told what a retraining and a wrong answer cost, to accept four false alarms a year, and to
  retrain at most every fortnight.

A wrong answer costs 1 and a retraining 100. "No" and "yes" are answered at the probability .5. The years are drawn anew
at each run unless a seed is given.

    python -m benchmarks.loop_simulation [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.report import report, table
from everfit.evaluation.metrics import measure
from everfit.monitoring import losses
from everfit.monitoring.budget import alpha_per_look
from everfit.monitoring.drift import Floors, drift
from everfit.monitoring.estimate import impact
from everfit.monitoring.performance import performance
from everfit.monitoring.profile import profile
from everfit.project.sections.monitoring import Cost, Monitoring, Retraining
from everfit.records.profile import LossKind, Profile
from everfit.records.table import Kind, Task
from everfit.records.watch import LossReport, LossState, PerformanceReport
from everfit.retraining.policy import FALLEN, Known, decide

DAYS, PER_DAY, DELAY, WINDOW, EVERY = 365, 150, 30, 45, 7
REGIONS, COLUMN, PEOPLE, CONCEPT = 70, 130, 190, 270
PRICE, CELLS = 100.0, 12
START = datetime(2026, 1, 5, tzinfo=UTC)
NUMERIC = ("charge", "tenure", "usage", "calls")
KINDS = dict.fromkeys(NUMERIC, Kind.NUMERIC) | {"region": Kind.CATEGORICAL, "plan": Kind.CATEGORICAL}
DEFAULTS = (Monitoring(), Retraining())
TOLD = (
    Monitoring(every="7d", alarms="4/year"),
    Retraining(cooldown="14d", cost=Cost(retraining=PRICE, error=0.01)),
)


@dataclass
class World:
    """All rows of WINDOW + DELAY days before the year and of the year: features, who leaves, and on which day."""

    rows: pl.DataFrame
    leaves: NDArray[np.int64]
    day: NDArray[np.int64]


def world(seed: int) -> World:
    g = np.random.default_rng(seed)
    day = np.repeat(np.arange(-WINDOW - DELAY, DAYS), PER_DAY)
    n = len(day)
    weekend = (day % 7 >= 5).astype(float)
    season = 0.15 * np.sin(2 * np.pi * day / 365)
    other = (day >= PEOPLE) & (g.random(n) < 0.5)
    charge = g.normal(season, 1, n) + np.where(other, 2.5, 0.0)
    tenure = g.normal(0, 1, n)
    usage = g.normal(0.5 * weekend, 1, n)
    calls = g.normal(0, 1, n) + (day >= COLUMN)
    mix = np.where(day >= REGIONS, 0.6, 0.2)
    region = np.where(g.random(n) < mix, "north", np.where(g.random(n) < 0.5, "east", "south"))
    plan = np.where(g.random(n) < 0.4, "basic", "full")
    # Who pays a little more leaves; who pays much more than anybody before has chosen to, and stays.
    money = np.where(charge < 1.5, 1.4 * charge, 2.1 - 2.6 * (charge - 1.5))
    sign = np.where(day >= CONCEPT, 1.0, -1.0)
    odds = -0.6 + money + sign * 1.3 * tenure + 0.8 * (plan == "basic")
    leaves = (g.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    columns = {"charge": charge, "tenure": tenure, "usage": usage, "calls": calls, "region": region, "plan": plan}
    return World(pl.DataFrame(columns), leaves, day)


def matrix(rows: pl.DataFrame, cuts: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Numbers by cell, categories by level: what a logistic model with curves is fitted to."""
    cells = [np.searchsorted(cuts[name], rows[name].to_numpy()) for name in NUMERIC]
    cells += [
        rows["region"].replace_strict({"north": 0, "east": 1, "south": 2}).to_numpy(),
        (rows["plan"] == "basic").to_numpy(),
    ]
    return np.column_stack([np.ones(rows.height), *(np.eye(CELLS)[np.asarray(cell, dtype=int)] for cell in cells)])


def fitted(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ridge logistic regression by Newton's method."""
    weights = np.zeros(x.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(x.shape[1])
        weights += np.linalg.solve(hessian, x.T @ (y - p) - weights)
    return weights


@dataclass
class Model:
    """A fitted model with what its bundle would hold: the profile, and its metric on rows it did not learn from."""

    weights: NDArray[np.float64]
    cuts: dict[str, NDArray[np.float64]]
    profile: Profile
    since: int
    reference: dict[str, pl.Series]

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        return scored(self.weights, matrix(rows, self.cuts))


def scored(weights: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-x @ weights))
    return found


AUC = measure("roc_auc", Task.BINARY, ("No", "Yes"))


def both(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([1 - p, p])


def train(of: World, today: int) -> tuple[Model, NDArray[np.bool_]]:
    """A model of what is labelled by today, and the newest fifth of those rows, which it did not learn from."""
    known = (of.day >= today - DELAY - WINDOW) & (of.day < today - DELAY)
    newest = known & (of.day >= today - DELAY - WINDOW // 5)
    learned = known & ~newest
    table, test = of.rows.filter(learned), of.rows.filter(newest)
    shares = np.linspace(0, 1, CELLS + 1)[1:-1]
    cuts = {name: np.quantile(table[name].to_numpy(), shares) for name in NUMERIC}
    weights = fitted(matrix(table, cuts), of.leaves[learned])
    then, score = {c.name: c for c in table}, scored(weights, matrix(test, cuts))
    expected = AUC(of.leaves[newest], both(score))
    held = losses.baseline(LossKind.BRIER, (score - of.leaves[newest]) ** 2)
    known_as = profile(then, KINDS, score, "roc_auc", expected, int(newest.sum()), held)
    return Model(weights, cuts, known_as, today, then), newest


@dataclass
class Life:
    """What became of a year under one policy."""

    wrong: NDArray[np.float64] = field(default_factory=lambda: np.zeros(DAYS))
    begun: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    drifting: int | None = None
    best: float = 0.0
    tests: list[float] = field(default_factory=list)
    restoring: bool = False
    losses: LossState = field(default_factory=lambda: LossState(0))

    @property
    def cost(self) -> float:
        return float(self.wrong.sum()) + PRICE * len(self.begun)


Wants = Callable[[World, Model, int, Life], bool]


def live(of: World, wants: Wants, must_win: bool) -> Life:
    life = Life()
    champion, _ = train(of, 0)
    life.best = champion.profile.expected
    for day in range(DAYS):
        if day % EVERY == 0 and day and wants(of, champion, day, life):
            life.begun.append(day)
            challenger, newest = train(of, day)
            if not must_win or wins(of, challenger, champion, newest):
                champion = challenger
                life.released.append(day)
                life.drifting, life.losses = None, LossState(day)
                life.best = max(life.best, champion.profile.expected)
                life.tests.append(champion.profile.expected)
        today = of.day == day
        answers = champion.score(of.rows.filter(today)) >= 0.5
        life.wrong[day] = float((answers != of.leaves[today]).sum())
    return life


def wins(of: World, challenger: Model, champion: Model, newest: NDArray[np.bool_]) -> bool:
    """Whether it is better on the very same newest rows."""
    rows, y = of.rows.filter(newest), of.leaves[newest]
    return AUC(y, both(challenger.score(rows))) > AUC(y, both(champion.score(rows)))


def never(of: World, champion: Model, day: int, life: Life) -> bool:
    return False


def monthly(of: World, champion: Model, day: int, life: Life) -> bool:
    return day - (life.begun[-1] if life.begun else 0) >= 30 - EVERY // 2


def sources(of: World, champion: Model, day: int, life: Life) -> bool:
    week = of.rows.filter((of.day >= day - EVERY) & (of.day < day))
    for name, kind in KINDS.items():
        then, now = champion.reference[name], week[name]
        if kind is Kind.NUMERIC:
            p_value = stats.ks_2samp(then.to_numpy(), now.to_numpy(), method="asymp").pvalue
        else:
            levels = then.unique().to_list()
            counts = [[int((side == level).sum()) for level in levels] for side in (then, now)]
            p_value = stats.chi2_contingency(np.array(counts)).pvalue
        if p_value < 0.05:
            return True
    return False


def everfit(monitoring: Monitoring, retraining: Retraining, of: World, champion: Model, day: int, life: Life) -> bool:
    """A weekly look, as `everfit monitor` takes it: the champion's own answers only, each once."""
    alpha = alpha_per_look(monitoring)
    now = START + timedelta(days=day)
    week = of.rows.filter((of.day >= max(day - EVERY, champion.since)) & (of.day < day))
    score = champion.score(week)
    settings = monitoring.drift
    columns = {c.name: c for c in week}
    found = drift(champion.profile, columns, score, alpha, Floors(settings.floor, settings.breaks), now, now)
    drifted = found.is_drift or bool(found.score and found.score.drifted)
    life.drifting = (life.drifting if life.drifting is not None else day) if drifted else None
    ripe = (of.day >= max(day - DELAY - EVERY, champion.since)) & (of.day < day - DELAY)
    y, judged = of.leaves[ripe], champion.score(of.rows.filter(ripe))
    decision = decide(
        retraining,
        settings,
        now,
        Known(
            champion_since=START + timedelta(days=champion.since),
            begun=tuple(START + timedelta(days=one) for one in life.begun),
            performance=_performance(champion, monitoring, y, judged, alpha),
            losses=_one_by_one(champion, monitoring, (judged - y) ** 2, day, life),
            drift=found,
            impact=impact(Task.BINARY, champion.profile.score.sample, score),
            per_day=PER_DAY,
            drifting_since=None if life.drifting is None else START + timedelta(days=life.drifting),
            label_delay=timedelta(days=DELAY),
            short_of=life.best if retraining.restore and _short(champion, life, monitoring.tolerance) else None,
        ),
    )
    if decision.retrain:
        life.restoring = FALLEN[1] in decision.reasons[0]
    return decision.retrain


def _short(champion: Model, life: Life, tolerance: float) -> bool:
    """Whether the last retraining brought a better model that is not as good as the best has been."""
    released = bool(life.begun) and life.begun[-1] == champion.since
    better = len(life.tests) < 2 or not life.restoring or life.tests[-1] > life.tests[-2]
    return released and better and champion.profile.expected < life.best - tolerance


def _performance(
    champion: Model, monitoring: Monitoring, y: NDArray[np.int64], score: NDArray[np.float64], alpha: float
) -> PerformanceReport | None:
    """The champion on those of its answers whose labels came in the last week."""
    if len(y) < monitoring.rows:
        return None
    return performance(
        Task.BINARY,
        y,
        both(score),
        metric="roc_auc",
        measure=AUC,
        higher_is_better=True,
        expected=champion.profile.expected,
        expected_labels=champion.profile.labels,
        tolerance=monitoring.tolerance,
        coverage=1.0,
        alpha=alpha,
    )


def _one_by_one(
    champion: Model, monitoring: Monitoring, found: NDArray[np.float64], day: int, life: Life
) -> LossReport | None:
    """The same labels one by one, with the average number of them to a false alarm that the library would state."""
    if not len(found) or champion.profile.losses is None:
        return None
    looks = max(timedelta(days=day - champion.since) / monitoring.every, 1.0)
    run_length = max((life.losses.labels + len(found)) / looks, 1.0) / alpha_per_look(monitoring)
    life.losses, told = losses.watch(champion.profile.losses, found, life.losses, monitoring.tolerance, run_length)
    return told


WAYS: dict[str, tuple[Wants, bool]] = {
    "never": (never, False),
    "monthly": (monthly, False),
    "sources' rule": (sources, False),
    "everfit": (partial(everfit, *DEFAULTS), True),
    "everfit, told": (partial(everfit, *TOLD), True),
}


def after(days: list[int], event: int) -> float:
    """Days from an event to the first of `days` that follows it, before the next event counts as another story."""
    until = {REGIONS: COLUMN, COLUMN: PEOPLE, PEOPLE: CONCEPT, CONCEPT: DAYS}[event]
    found = [day - event for day in days if event <= day < until]
    return found[0] if found else float("nan")


def recovered(life: Life, base: float, event: int) -> float:
    """Days from an event until a fortnight's mean of wrong answers is within a fifth of what it was before any."""
    until = {PEOPLE: CONCEPT, CONCEPT: DAYS}[event]
    for day in range(event + 14, until):
        if life.wrong[day : day + 14].mean() <= 1.2 * base:
            return day - event
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two years instead of eight")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    options = parser.parse_args()
    print(f"years from seed {options.seed} on\n")
    years = [world(options.seed + number) for number in range(2 if options.quick else 8)]
    with threadpool_limits(1):
        lives = {name: [live(of, wants, must_win) for of in years] for name, (wants, must_win) in WAYS.items()}
    rows: list[list[str | int | float]] = []
    for name, of in lives.items():
        false = [sum(REGIONS <= day < PEOPLE for day in life.begun) for life in of]
        base = float(np.mean([life.wrong[:REGIONS].mean() for life in of]))
        rows.append(
            [
                name,
                f"{np.mean([len(life.begun) for life in of]):.1f}",
                f"{np.mean(false):.1f}",
                *(_mean([after(life.begun, event) for life in of]) for event in (PEOPLE, CONCEPT)),
                *(_mean([recovered(life, base, event) for life in of]) for event in (PEOPLE, CONCEPT)),
                round(float(np.mean([life.wrong.sum() for life in of]))),
                round(float(np.mean([life.cost for life in of]))),
            ]
        )
    heads = ("policy", "retrainings", "for drifts that do not matter", "days to act: people", "concept")
    table([*heads, "days to recover: people", "concept", "wrong answers", "total cost"], rows)
    costs = {name: float(np.mean([life.cost for life in of])) for name, of in lives.items()}
    others = [name for name in WAYS if not name.startswith("everfit")]
    wins_of = sum(
        life.cost < min(lives[name][year].cost for name in others) for year, life in enumerate(lives["everfit"])
    )
    print(f"\neverfit with its defaults cost least of the four in {wins_of} of {len(years)} years")
    idle = sum(REGIONS <= day < PEOPLE for life in lives["everfit"] for day in life.begun)
    least = min(costs[name] for name in others)
    holds = costs["everfit"] < least and idle == 0
    ratio = round(costs["everfit"] / least, 3)
    goal = "with the default settings the least total cost of the four, and no retraining for drifts that do not matter"
    report("loop_simulation", ratio, goal, holds)


def _mean(days: list[float]) -> str:
    found = [day for day in days if np.isfinite(day)]
    return (
        f"{np.mean(found):.0f}" + (f" ({len(found)} of {len(days)})" if len(found) < len(days) else "")
        if found
        else "-"
    )


if __name__ == "__main__":
    main()
