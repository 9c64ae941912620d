"""A row of a request is read exactly as the same values in a table, or refused with every reason."""

from __future__ import annotations

import string

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.serving_models import GOOD, RULES, model, without

from everfit.data.schema import arrays, conform
from everfit.errors import ProjectError, RequestError, SourceError
from everfit.records.table import Column, Kind, Schema, ValueRule
from everfit.serving.masking import row_mask
from everfit.serving.rows import RowParser, parse

SCHEMA = Schema(
    (
        Column("n", Kind.NUMERIC),
        Column("b", Kind.BOOLEAN),
        Column("c", Kind.CATEGORICAL),
        Column("d", Kind.DATE),
        Column("odd", Kind.DATE, format="%d.%m.%Y"),
    )
)
NAMES = SCHEMA.names

plain = st.sampled_from(["", " ", "NA", "nan", "None", "-", "?", "null", "Yes", " no", "T", "1,5", "0x1", "1_000"])
digits = st.sampled_from(["1", "0", "1.0", " 01 ", "+3", ".5", "5.", "1e3", "inf", "-Infinity", "1e400", "24:00", "+"])
days = st.sampled_from(
    ["2024-01-31", "2024-02-30", "31.01.2024", "2024-1-3", "0000-01-01", "9999-12-31", " 2024-01-31"]
)
times = st.sampled_from(["", "T", "T12", "T12:30", " 12:30", "T24:00", " 12:00:60", "T20:17:40.123456", "T20:17:40.5"])
zones = st.sampled_from(["", "Z", "z", "+02:00", " +02:00", "-0930", "+02"])
words = plain | digits | st.tuples(days, times, zones).map("".join)
texts = words | st.text(string.ascii_letters + string.digits + " .,+-:_/äß", max_size=12) | st.floats().map(repr)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


def _as_table(name: str, value: object) -> object:
    """What the data stage makes of the value, or its refusal; an infinite number counts as refused."""
    schema = Schema((SCHEMA[name],))
    try:
        read = arrays(conform(pl.DataFrame({name: [value]}), schema), schema, [name])[name]
    except SourceError:
        return "refused"
    return "refused" if read.dtype == np.float64 and np.isinf(read[0]) else read


def _as_row(name: str, value: object) -> object:
    try:
        return parse({name: value}, SCHEMA, [name])[name]
    except RequestError:
        return "refused"


def _same(left: object, right: object) -> bool:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        equal = np.array_equal(left, right, equal_nan=left.dtype.kind in "fM")
        return left.dtype == right.dtype and equal
    return isinstance(left, str) and left == right


@given(st.sampled_from(NAMES), texts)
def test_a_text_is_read_as_in_a_csv_file(name: str, value: str) -> None:
    assert _same(_as_row(name, value), _as_table(name, value)), (_as_row(name, value), _as_table(name, value))


@given(st.sampled_from(["n", "b", "c"]), numbers)
def test_a_number_is_read_as_in_a_typed_file(name: str, value: float) -> None:
    assert _same(_as_row(name, value), _as_table(name, value)), (_as_row(name, value), _as_table(name, value))


@pytest.mark.parametrize("name", NAMES)
def test_null_is_a_missing_value_in_every_column(name: str) -> None:
    read = parse({name: None}, SCHEMA, [name])[name]
    assert pl.Series(read.tolist()).fill_nan(None).null_count() == 1 if name in "nb" else read.tolist() == [None]


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), 10**400, [1], {"a": 1}, "twelve"])
def test_what_is_no_finite_number_is_refused_for_a_number(value: object) -> None:
    with pytest.raises(RequestError, match="n: "):
        parse({"n": value}, SCHEMA, ["n"])


def test_all_problems_of_a_row_are_named_at_once() -> None:
    parser = RowParser(model().manifest.schema, ("tenure", "charges", "plan"), RULES)
    with pytest.raises(RequestError) as caught:
        parser.columns([{"tenur": 3, "charges": "much", "plan": "huge", "senior": [1]}])
    said = caught.value.what
    for part in (
        "tenur: unknown column, did you mean 'tenure'?",
        "tenure: is absent",
        "charges: 'much' is not a number",
        "plan: 'huge' is impossible; allowed: 'basic', 'full'",
        "senior: a JSON list is not a text",
    ):
        assert part in said
    assert caught.value.where == "charges, plan, senior, tenur, tenure"


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [("tenure", -5, "0 to 120"), ("tenure", "121", "0 to 120"), ("charges", 99999, "1000 and below")],
)
def test_an_impossible_value_is_refused_with_the_range_that_is_allowed(
    column: str, value: object, allowed: str
) -> None:
    with pytest.raises(RequestError, match=f"{column}: {value!r} is impossible; allowed: {allowed}"):
        model().parser.columns([{**GOOD, column: value}])


def test_a_missing_value_passes_every_check() -> None:
    read = model().parser.columns([{**GOOD, "tenure": None, "plan": " "}])
    assert np.isnan(read["tenure"][0])
    assert read["plan"][0] is None


def test_allowed_values_are_compared_as_the_column_reads_them() -> None:
    rules = (ValueRule("b", allowed=(True,)), ValueRule("n", allowed=(1, 2)), ValueRule("c", allowed=(7,)))
    parser = RowParser(SCHEMA, ("b", "n", "c"), rules)
    assert [v[0] for v in parser.columns([{"b": "yes", "n": "2.0", "c": 7.0}]).values()] == [1.0, 2.0, "7"]
    with pytest.raises(RequestError, match="b: 'no' is impossible"):
        parser.columns([{"b": "no", "n": 1, "c": "7"}])


def test_a_column_that_no_feature_reads_may_be_absent_but_must_be_possible() -> None:
    parser = RowParser(SCHEMA, ("c",), (ValueRule("n", min=0),))
    assert parser.columns([{"c": "x"}])["c"].tolist() == ["x"]
    with pytest.raises(RequestError, match="n: -1 is impossible; allowed: 0 and above"):
        parser.columns([{"c": "x", "n": -1}])


def test_a_problem_in_a_batch_is_named_with_its_row_and_only_twenty_are_shown() -> None:
    rows: list[dict[str, object]] = [{"n": "y"} for _ in range(43)]
    rows[:3] = [{"n": 1}, {"n": "x"}, {}]
    with pytest.raises(RequestError, match=r"rows\[1\].n: 'x' is not a number; rows\[2\].n: is absent") as caught:
        RowParser(SCHEMA, ("n",)).columns(rows)
    assert caught.value.what.endswith("and 22 more")


@given(st.floats(-200, 200), st.sampled_from(["basic", "full", "other", None]))
def test_a_table_is_held_against_the_checks_as_a_row_is(tenure: float, plan: str | None) -> None:
    row = {**GOOD, "tenure": tenure, "plan": plan}
    unchecked = RowParser(model().manifest.schema, model().parser.required)
    columns = unchecked.columns([row])
    outcomes = []
    for attempt in (lambda: model().parser.check(columns), lambda: model().parser.columns([row])):
        try:
            attempt()
            outcomes.append(True)
        except RequestError:
            outcomes.append(False)
    assert outcomes[0] == outcomes[1]


def test_a_batch_reads_as_its_rows_do() -> None:
    rows = [GOOD, {**GOOD, "tenure": None}, {**GOOD, "signup": "2020-02-29T23:59:59+01:00"}]
    batch = model().parser.columns(rows)
    single = [model().parser.columns([row]) for row in rows]
    assert all(_same(np.concatenate([columns[n] for columns in single]), read) for n, read in batch.items())


def test_an_absent_column_is_a_problem_and_not_a_missing_value() -> None:
    with pytest.raises(RequestError, match="charges: is absent"):
        model().parser.columns([without(GOOD, "charges")])


def test_a_personal_value_is_masked_in_a_row_as_in_a_table() -> None:
    from everfit.data.masking import Treatment, mask

    personal: dict[str, Treatment] = {"mail": "hash", "name": "drop", "phone": "redact"}
    frame = pl.DataFrame({"mail": ["a@b.c"], "name": ["Ann"], "phone": ["1"], "n": [1]})
    masked = row_mask(personal, "secret")({"mail": "a@b.c", "name": "Ann", "phone": "1", "n": 1})
    assert [masked] == mask(frame, personal, "secret").to_dicts()


def test_a_hash_without_a_key_is_refused() -> None:
    with pytest.raises(ProjectError, match="secret key"):
        row_mask({"mail": "hash"}, None)
