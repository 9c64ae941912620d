"""A year of churn traffic, and what four ways of retraining make of it.

Every day 150 customers are scored; whether they leave is known 30 days later. Traffic has weekdays and a slow season.
On day 70 the mix of regions changes and on day 130 a column moves by a standard deviation: neither has to do with
leaving. From day 190 on another kind of customer comes, of whom the model has seen few. On day 270 what makes
customers leave changes. Once a week each policy may retrain, on the labelled rows of the last 45 days:

- never;
- monthly: every 30 days, and released whatever it is;
- the sources' rule: whenever a Kolmogorov-Smirnov or chi-square test of a column says p < .05, and released;
- everfit: drift, estimate, performance by windows and label by label, and the policy, all with their default settings;
  a challenger is released only if it beats the champion on the newest labelled rows, which neither has learned from.
  After performance has fallen it learns from the labelled rows since then, as `retraining.forget` does;
- everfit, told: the same, told what a retraining and a wrong answer cost, to accept four false alarms a year, and to
  retrain at most every fortnight.

A wrong answer costs 1 and a retraining 100. "No" and "yes" are answered at the probability .5. The years are drawn anew
at each run unless a seed is given.

What a drift has caused is what would not have been without it. Each year is lived through once more without the two
drifts that do not matter, all else the same to the last customer: a retraining from day 70 to day 190 is *because of*
them unless there is one in the same week of that year. One that is there without them too falls into their time by
chance; it is shown all the same, and the goal is that there is neither. How often a retraining is false altogether is
counted in years without any drift.

    python -m benchmarks.loop_simulation [--quick] [--seed N] [--keep FILE]
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.kept import Kept
from benchmarks.loop_world import (
    AUC,
    COLUMN,
    CONCEPT,
    DAYS,
    DELAY,
    EVERY,
    KINDS,
    PEOPLE,
    PER_DAY,
    REGIONS,
    Model,
    World,
    both,
    labelled,
    train,
    world,
)
from benchmarks.report import report, table
from everfit.monitoring import losses
from everfit.monitoring.budget import alpha_per_look
from everfit.monitoring.drift import Floors, drift
from everfit.monitoring.estimate import impact
from everfit.monitoring.performance import performance
from everfit.project.sections.monitoring import Cost, Monitoring, Retraining
from everfit.records.table import Kind, Task
from everfit.records.watch import Decision, LossReport, LossState, PerformanceReport
from everfit.retraining.policy import Change, Known, decide

PRICE = 100.0
START = datetime(2026, 1, 5, tzinfo=UTC)
DEFAULTS = (Monitoring(), Retraining())
TOLD = (
    Monitoring(every="7d", alarms="4/year"),
    Retraining(cooldown="14d", cost=Cost(retraining=PRICE, error=0.01)),
)
YES, NO = (Decision(START, asked, None, ()) for asked in (True, False))


@dataclass
class Life:
    """What became of a year under one policy. `since` is the day before which rows are left out, `fell` the one
    since which performance had fallen that the champion was made for, `learned` how many labelled rows since then there
    were, and `refused` that the last retraining released nothing."""

    wrong: NDArray[np.float64] = field(default_factory=lambda: np.zeros(DAYS))
    begun: list[int] = field(default_factory=list)
    drifting: int | None = None
    judged: PerformanceReport | None = None
    losses: LossState = field(default_factory=lambda: LossState(0))
    since: int | None = None
    fell: int | None = None
    learned: int = 0
    refused: bool = False

    def stored(self) -> dict[str, Any]:
        return {"wrong": self.wrong.tolist(), "begun": self.begun}

    @property
    def cost(self) -> float:
        return float(self.wrong.sum()) + PRICE * len(self.begun)

    @property
    def idle(self) -> list[int]:
        """Retrainings while only drifts went on that do not matter."""
        return [day for day in self.begun if REGIONS <= day < PEOPLE]


Wants = Callable[[World, Model, int, Life], Decision]


def live(of: World, wants: Wants, must_win: bool, days: int = DAYS) -> Life:
    life = Life()
    champion, _ = train(of, 0)
    for day in range(days):
        asked = wants(of, champion, day, life) if day % EVERY == 0 and day else NO
        if asked.retrain:
            champion = retrained(of, champion, asked, day, life, must_win)
        today = of.day == day
        answers = champion.score(of.rows.filter(today)) >= 0.5
        life.wrong[day] = float((answers != of.leaves[today]).sum())
    return life


def retrained(of: World, champion: Model, asked: Decision, day: int, life: Life, must_win: bool) -> Model:
    """The challenger if it is released, and else the champion."""
    life.begun.append(day)
    since = None if asked.since is None else day_of(asked.since)
    challenger, newest = train(of, day, since)
    life.refused = must_win and not wins(of, challenger, champion, newest)
    if life.refused:
        return champion
    life.since, life.fell = since, None if asked.fell is None else day_of(asked.fell)
    life.learned = 0 if life.fell is None else labelled(of, life.fell, day)
    life.drifting, life.judged, life.losses = None, None, LossState(day)
    return challenger


def wins(of: World, challenger: Model, champion: Model, newest: NDArray[np.bool_]) -> bool:
    """Whether it is better on the very same newest rows."""
    rows, y = of.rows.filter(newest), of.leaves[newest]
    return AUC(y, both(challenger.score(rows))) > AUC(y, both(champion.score(rows)))


def never(of: World, champion: Model, day: int, life: Life) -> Decision:
    return NO


def monthly(of: World, champion: Model, day: int, life: Life) -> Decision:
    return YES if day - (life.begun[-1] if life.begun else 0) >= 30 - EVERY // 2 else NO


def sources(of: World, champion: Model, day: int, life: Life) -> Decision:
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
            return YES
    return NO


def everfit(
    monitoring: Monitoring, retraining: Retraining, of: World, champion: Model, day: int, life: Life
) -> Decision:
    """A weekly look, as `everfit monitor` takes it: the champion's own answers only, each once."""
    alpha = alpha_per_look(monitoring)
    now = at(day)
    week = of.rows.filter((of.day >= max(day - EVERY, champion.since)) & (of.day < day))
    score = champion.score(week)
    settings = monitoring.drift
    columns = {c.name: c for c in week}
    found = drift(champion.profile, columns, score, alpha, Floors(settings.floor, settings.breaks), now, now)
    drifted = found.is_drift or bool(found.score and found.score.drifted)
    life.drifting = (life.drifting if life.drifting is not None else day) if drifted else None
    ripe = (of.day >= max(day - DELAY - EVERY, champion.since)) & (of.day < day - DELAY)
    y, judged = of.leaves[ripe], champion.score(of.rows.filter(ripe))
    life.judged = _performance(champion, monitoring, y, judged, alpha) or life.judged
    one_by_one = _one_by_one(champion, monitoring, (judged - y) ** 2, of.day[ripe], day, life)
    return decide(
        retraining,
        settings,
        now,
        Known(
            champion_since=at(champion.since),
            begun=tuple(at(one) for one in life.begun),
            performance=life.judged if len(y) >= monitoring.rows else None,
            losses=one_by_one,
            drift=found,
            impact=impact(Task.BINARY, champion.profile.score.sample, score),
            per_day=PER_DAY,
            drifting_since=None if life.drifting is None else at(life.drifting),
            label_delay=timedelta(days=DELAY),
            judged=life.judged,
            change=_change(of, one_by_one, day, life, retraining.restore),
            since=None if life.since is None else at(life.since),
            dated=not life.refused,
        ),
    )


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def day_of(time: datetime) -> int:
    return (time - START).days


def _change(of: World, found: LossReport | None, day: int, life: Life, restore: bool) -> Change | None:
    """What the labels date, or else what the champion was made for, as a look at production finds it."""
    if found is not None and found.lasting and found.since is not None:
        return Change(found.since, labelled(of, day_of(found.since), day))
    if not restore or life.fell is None or life.refused:
        return None
    return Change(at(life.fell), labelled(of, life.fell, day), life.learned)


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
    champion: Model,
    monitoring: Monitoring,
    found: NDArray[np.float64],
    days: NDArray[np.int64],
    day: int,
    life: Life,
) -> LossReport | None:
    """The same labels one by one, with the average number of them to a false alarm that the library would state."""
    if not len(found) or champion.profile.losses is None:
        return None
    looks = max(timedelta(days=day - champion.since) / monitoring.every, 1.0)
    run_length = max((life.losses.labels + len(found)) / looks, 1.0) / alpha_per_look(monitoring)
    times = [at(int(one)) for one in days]
    life.losses, told = losses.watch(
        champion.profile.losses, found, life.losses, monitoring.tolerance, run_length, times
    )
    return told


WAYS: dict[str, tuple[Wants, bool]] = {
    "never": (never, False),
    "monthly": (monthly, False),
    "sources' rule": (sources, False),
    "everfit": (partial(everfit, *DEFAULTS), True),
    "everfit, told": (partial(everfit, *TOLD), True),
}


@dataclass(frozen=True)
class Years:
    """The years under one policy: as they are, and how many retrainings of each its harmless drifts have caused."""

    lives: list[Life]
    caused: list[int]

    @property
    def cost(self) -> float:
        return float(np.mean([life.cost for life in self.lives]))


def years(name: str, seeds: list[int], kept: Kept) -> Years:
    """The years of a policy, and what of each would not have been without the drifts that do not matter."""
    found = Years([], [])
    for seed in seeds:
        life = _lived(kept, f"{name} {seed}", name, partial(world, seed), DAYS)
        without = _lived(kept, f"{name} {seed} without", name, partial(world, seed, harmless=False), PEOPLE)
        found.lives.append(life)
        found.caused.append(len(set(life.idle) - set(without.begun)))
    return found


def _lived(kept: Kept, key: str, name: str, made: Callable[[], World], days: int) -> Life:
    found = kept.part(key, lambda: live(made(), *WAYS[name], days).stored())
    return Life(np.array(found["wrong"]), found["begun"])


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


def row(name: str, of: Years) -> list[str | int | float]:
    base = float(np.mean([life.wrong[:REGIONS].mean() for life in of.lives]))
    return [
        name,
        f"{np.mean([len(life.begun) for life in of.lives]):.1f}",
        f"{np.mean([len(life.idle) for life in of.lives]):.1f}",
        f"{np.mean(of.caused):.1f}",
        *(_mean([after(life.begun, event) for life in of.lives]) for event in (PEOPLE, CONCEPT)),
        *(_mean([recovered(life, base, event) for life in of.lives]) for event in (PEOPLE, CONCEPT)),
        round(float(np.mean([life.wrong.sum() for life in of.lives]))),
        round(of.cost),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two years instead of eight")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--keep", type=Path, help="a file for what is found, from which a stopped run goes on")
    options = parser.parse_args()
    seeds = [options.seed + number for number in range(2 if options.quick else 8)]
    print(f"years from seed {options.seed} on\n")
    kept = Kept(options.keep, len(seeds) * (2 * len(WAYS) + 1))
    with threadpool_limits(1):
        found = {name: years(name, seeds, kept) for name in WAYS}
        calm = [
            _lived(kept, f"calm {seed}", "everfit", partial(world, seed, harmless=False, matter=False), DAYS)
            for seed in seeds
        ]
    heads = ("policy", "retrainings", "while only harmless drifts", "because of them", "days to act: people", "concept")
    rows = [row(name, of) for name, of in found.items()]
    table([*heads, "days to recover: people", "concept", "wrong answers", "total cost"], rows)
    judge(found, calm)


def judge(found: dict[str, Years], calm: list[Life]) -> None:
    """The goal, and the machine's line."""
    ours, others = found["everfit"], [of for name, of in found.items() if not name.startswith("everfit")]
    least = [min(of.lives[year].cost for of in others) for year in range(len(ours.lives))]
    won = sum(life.cost < other for life, other in zip(ours.lives, least, strict=True))
    print(f"\neverfit with its defaults cost least of the four in {won} of {len(least)} years")
    false = sum(len(life.begun) for life in calm)
    print(f"in {len(calm)} years without any drift it retrained {false} times")
    cheapest = min(of.cost for of in others)
    idle = sum(len(life.idle) for life in ours.lives)
    goal = "with the default settings the least total cost of the four, and no retraining for drifts that do not matter"
    report("loop_simulation", round(ours.cost / cheapest, 3), goal, ours.cost < cheapest and not idle)


def _mean(days: list[float]) -> str:
    found = [day for day in days if np.isfinite(day)]
    return (
        f"{np.mean(found):.0f}" + (f" ({len(found)} of {len(days)})" if len(found) < len(days) else "")
        if found
        else "-"
    )


if __name__ == "__main__":
    main()
