from __future__ import annotations

import pytest

from everfit.errors import ProjectError
from everfit.features.functions import load
from everfit.features.select import select
from everfit.records.table import Column, Kind, Schema

SCHEMA = Schema(
    (
        Column("id", Kind.IDENTIFIER, distinct=9),
        Column("age", Kind.NUMERIC, distinct=9),
        Column("plan", Kind.CATEGORICAL, distinct=3),
        Column("paperless", Kind.BOOLEAN, distinct=2),
        Column("joined", Kind.DATE, distinct=9),
        Column("comment", Kind.TEXT, distinct=9),
        Column("same", Kind.NUMERIC, distinct=1),
        Column("sometimes", Kind.NUMERIC, null_share=0.5, distinct=1),
        Column("mail", Kind.CATEGORICAL, distinct=9),
        Column("churn", Kind.BOOLEAN, distinct=2),
    )
)
FUNCTIONS = load("def year(joined):\n    return 1.0\ndef double(age):\n    return age * 2")
NONE = load("")


def test_usable_columns_come_first_and_then_the_functions() -> None:
    found = select(SCHEMA, FUNCTIONS, target="churn", personal=["mail"])
    assert found == ("age", "plan", "paperless", "sometimes", "year", "double")


def test_entity_time_and_excluded_columns_are_no_features() -> None:
    found = select(SCHEMA, NONE, target="churn", entity="plan", time="age", exclude=["paperless"])
    assert found == ("sometimes", "mail")


def test_a_misspelt_exclusion_is_refused_but_not_one_of_a_column_dropped_before() -> None:
    with pytest.raises(ProjectError, match=r"no column 'paperles' to exclude(.|\n)*did you mean"):
        select(SCHEMA, NONE, target="churn", exclude=["paperles"])
    assert select(SCHEMA, NONE, target="churn", exclude=["phone"], personal=["phone"])


def test_use_restricts_and_orders() -> None:
    assert select(SCHEMA, FUNCTIONS, target="churn", use=["double", "plan", "same"]) == ("double", "plan", "same")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("churn", "target"), ("id", "identifier"), ("joined", "date"), ("comment", "text"), ("mail", "personal")],
)
def test_use_cannot_name_what_is_no_feature(name: str, reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        select(SCHEMA, NONE, target="churn", personal=["mail"], use=[name])


@pytest.mark.parametrize("name", ["agee", "usage:age"])
def test_an_unknown_name_gets_a_suggestion(name: str) -> None:
    with pytest.raises(ProjectError) as caught:
        select(SCHEMA, NONE, target="churn", use=[name])
    assert "'age'" in caught.value.fix


@pytest.mark.parametrize("read", ["churn", "mail"])
def test_a_function_of_the_target_or_of_personal_data_is_refused(read: str) -> None:
    text = f"def leak(step):\n    return step\ndef step({read}):\n    return {read}"
    with pytest.raises(ProjectError, match="leak"):
        select(SCHEMA, load(text), target="churn", personal=["mail"], use=["leak"])


def test_a_function_of_an_unknown_column_is_refused() -> None:
    with pytest.raises(ProjectError, match="'plann'"):
        select(SCHEMA, load("def f(plann):\n    return 1"), target="churn")


def test_no_feature_at_all_is_an_error() -> None:
    with pytest.raises(ProjectError, match="no column is left"):
        select(Schema((Column("y", Kind.BOOLEAN),)), NONE, target="y")
