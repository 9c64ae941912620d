from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp

from everfit.errors import ProjectError
from everfit.evaluation.metrics import area_under_roc
from everfit.testing.churn import ENTITY, FEATURES, TARGET, TIME, Drift, customers, labels

START = datetime(2025, 1, 6, tzinfo=UTC)
MIDDLE = START + timedelta(days=30)
KINDS: tuple[Literal["covariate", "prior", "concept", "missing"], ...] = ("covariate", "prior", "concept", "missing")


def table(seed: int = 1, rows: int = 8_000, drift: Drift | None = None, **more: bool) -> pl.DataFrame:
    return customers(rows, seed, START, 60, drift, truth=True, **more)


def rate(frame: pl.DataFrame) -> float:
    return float((frame[TARGET] == "Yes").to_numpy().mean())


def quality(frame: pl.DataFrame, score: pl.Series) -> float:
    return area_under_roc((frame[TARGET] == "Yes").to_numpy(), score.to_numpy())


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 300), seed=st.integers(0, 2**31), days=st.integers(1, 400))
def test_any_table_is_ordered_complete_and_within_its_days(rows: int, seed: int, days: int) -> None:
    frame = customers(rows, seed, START, days)
    assert frame.columns == [ENTITY, TIME, *FEATURES, TARGET]
    assert frame.height == frame[ENTITY].n_unique() == rows
    assert frame[TIME].is_sorted()
    assert frame[TIME].is_between(START, START + timedelta(days=days), closed="left").all()


def test_the_same_seed_gives_the_same_table_and_another_seed_another_one() -> None:
    assert table(seed=3).equals(table(seed=3))
    assert not table(seed=3).equals(table(seed=4))


def test_two_seeds_draw_from_the_same_distributions() -> None:
    one, two = table(seed=11), table(seed=12)
    for name in ("monthly_charges", "tenure", "total_purchases", "true_probability"):
        assert ks_2samp(one[name].to_numpy(), two[name].to_numpy()).pvalue > 1e-4
    counts = [frame["contract_type"].value_counts(sort=False).sort("contract_type")["count"] for frame in (one, two)]
    assert chi2_contingency(np.array([each.to_list() for each in counts])).pvalue > 1e-4


def test_churn_is_drawn_from_the_true_probability() -> None:
    frame = table(rows=20_000)
    thirds = frame.with_columns(third=pl.col("true_probability").rank("ordinal") * 3 // (pl.len() + 1)).group_by(
        "third"
    )
    shares = thirds.agg(said=pl.col("true_probability").mean(), seen=(pl.col(TARGET) == "Yes").mean())
    assert shares["said"].to_numpy() == pytest.approx(shares["seen"].to_numpy(), abs=0.02)


def test_a_perfect_model_is_good_but_not_perfect() -> None:
    frame = table(rows=20_000)
    assert 0.82 < quality(frame, frame["true_probability"]) < 0.88
    assert 0.2 < rate(frame) < 0.35


def test_columns_hang_together() -> None:
    frame = table()
    assert frame.filter(pl.col("tenure") == 0)["total_charges"].null_count() == frame["total_charges"].null_count()
    assert set(frame.filter(internet_service="No")["streaming_tv"]) == {"No internet service"}
    assert (
        frame.filter(pl.col("age").is_not_null())
        .select((pl.col("age") >= 65) == pl.col("senior_citizen").cast(bool))
        .to_series()
        .all()
    )
    tenure = frame.group_by("contract_type").agg(pl.col("tenure").mean()).sort("contract_type")["tenure"]
    assert tenure.is_sorted()


def test_some_values_are_missing_but_never_the_target_or_the_key() -> None:
    missing = {name for name, count in table().null_count().row(0, named=True).items() if count}
    assert missing == {"age", "tech_support", "avg_purchase_amount", "total_charges"}


def test_weekends_are_quiet_and_dear_unless_seasons_are_off() -> None:
    weekend = pl.col(TIME).dt.weekday() > 5
    with_seasons, without = table(), table(seasonal=False)
    assert with_seasons.filter(weekend).height / with_seasons.height < 0.23
    assert without.filter(weekend).height / without.height > 0.24
    amount = pl.col("avg_purchase_amount").median()
    assert (
        with_seasons.filter(weekend).select(amount).item() > 1.05 * with_seasons.filter(~weekend).select(amount).item()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_before_a_drift_are_those_of_the_world_without_it(kind: Literal["covariate", "concept"]) -> None:
    drift = Drift(kind, 1.0, MIDDLE)
    plain, drifted = table(), table(drift=drift)
    assert drifted["drifted"].equals(drift.changed(drifted[TIME]), check_names=True)
    before = ~drifted["drifted"]
    assert 0 < before.sum() < drifted.height
    assert drifted.filter(before).drop("drifted").equals(plain.filter(before).drop("drifted"))
    assert not drifted.drop("drifted").equals(plain.drop("drifted"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_drift_of_no_strength_changes_nothing(kind: Literal["covariate", "concept"]) -> None:
    assert table(drift=Drift(kind, 0.0, MIDDLE)).drop("drifted").equals(table().drop("drifted"))


def after(drift: Drift) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = table(drift=drift)
    return table().filter(frame["drifted"]), frame.filter(frame["drifted"])


def test_covariate_drift_raises_charges_and_shortens_contracts() -> None:
    plain, drifted = after(Drift("covariate", 1.0, MIDDLE))
    assert (drifted["monthly_charges"] / plain["monthly_charges"]).to_numpy() == pytest.approx(1.25, rel=1e-3)
    monthly = [(frame["contract_type"] == "Month-to-month").mean() for frame in (plain, drifted)]
    assert monthly[1] > monthly[0] + 0.2  # type: ignore[operator]  # polars types a mean as any scalar


def test_prior_drift_raises_the_rate_and_leaves_the_columns() -> None:
    plain, drifted = after(Drift("prior", 1.0, MIDDLE))
    assert drifted.select(FEATURES).equals(plain.select(FEATURES))
    assert rate(drifted) > rate(plain) + 0.08


def test_concept_drift_makes_yesterdays_best_score_bad_and_leaves_the_columns() -> None:
    plain, drifted = after(Drift("concept", 1.0, MIDDLE))
    assert drifted.select(FEATURES).equals(plain.select(FEATURES))
    assert quality(drifted, plain["true_probability"]) < quality(plain, plain["true_probability"]) - 0.15
    assert quality(drifted, drifted["true_probability"]) > 0.8


def test_missing_drift_empties_half_of_the_column_it_names() -> None:
    _, drifted = after(Drift("missing", 1.0, MIDDLE, column="tenure"))
    assert drifted["tenure"].null_count() / drifted.height == pytest.approx(0.5, abs=0.03)
    assert drifted["monthly_charges"].null_count() == 0


def test_labels_come_after_the_delay_and_not_much_later() -> None:
    frame, delay = customers(500, 1, START, 10), timedelta(days=20)
    known = labels(frame, delay, seed=2)
    wait = known.join(frame, on=ENTITY).select(pl.col("known_at") - pl.col(TIME)).to_series()
    assert known["known_at"].is_sorted()
    assert wait.is_between(delay, 1.25 * delay).all()
    assert known.sort(ENTITY).select(ENTITY, TARGET).equals(frame.sort(ENTITY).select(ENTITY, TARGET))


def test_some_labels_may_never_come() -> None:
    known = labels(customers(2_000, 1, START, 10), timedelta(days=1), seed=2, coverage=0.6)
    assert known.height / 2_000 == pytest.approx(0.6, abs=0.05)


def test_two_tables_need_share_no_customer() -> None:
    one, two = customers(10, 1, START, 1), customers(10, 2, START, 1, first=10)
    assert set(one[ENTITY]).isdisjoint(two[ENTITY])


def test_a_start_without_time_zone_gives_times_without_one() -> None:
    assert customers(5, 1, START.replace(tzinfo=None), 1).schema[TIME] == pl.Datetime("us")
    with pytest.raises(ProjectError, match="time zone"):
        customers(5, 1, START.replace(tzinfo=None), 1, Drift("prior", 1.0, MIDDLE))


@pytest.mark.parametrize(("rows", "days"), [(0, 1), (1, 0)])
def test_an_empty_table_is_refused(rows: int, days: int) -> None:
    with pytest.raises(ProjectError, match="at least one"):
        customers(rows, 1, START, days)


def test_a_drift_that_cannot_be_is_refused() -> None:
    with pytest.raises(ProjectError, match="between 0 and 1"):
        Drift("prior", 1.5, MIDDLE)
    with pytest.raises(ProjectError, match="no column `tenur`"):
        Drift("missing", 1.0, MIDDLE, column="tenur")
