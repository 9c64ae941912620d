"""Masking: personal values do not survive, joins do."""

from __future__ import annotations

import polars as pl
import pytest

from everfit.data.masking import REDACTED, mask, token
from everfit.errors import ProjectError

TABLE = pl.DataFrame({"email": ["a@b.c", None, "a@b.c"], "name": ["Ann", "Bob", None], "age": [1, 2, 3]})


def test_columns_are_dropped_hashed_and_redacted_and_others_stay() -> None:
    masked = mask(TABLE, {"name": "drop", "email": "hash", "age": "redact"}, "key")
    assert masked.columns == ["email", "age"]
    assert masked["email"].to_list() == [token("a@b.c", "key"), None, token("a@b.c", "key")]
    assert masked["age"].to_list() == [REDACTED] * 3


def test_the_token_is_that_of_rfc_4231() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert token("what do ya want for nothing?", "Jefe") == expected


def test_equal_values_have_equal_tokens_in_every_table_and_type() -> None:
    one = mask(pl.DataFrame({"customer": [7, 8]}), {"customer": "hash"}, "key")
    other = mask(pl.DataFrame({"client": ["7", "9"]}), {"client": "hash"}, "key")
    assert one.join(other, left_on="customer", right_on="client").height == 1


def test_another_key_gives_other_tokens() -> None:
    assert token("a", "key") != token("a", "yek")


def test_a_misspelt_column_is_refused_rather_than_leaked() -> None:
    with pytest.raises(ProjectError, match="no column 'emial'") as caught:
        mask(TABLE, {"emial": "drop"}, None)
    assert "email" in caught.value.fix


@pytest.mark.parametrize("key", [None, ""])
def test_hashing_needs_a_key(key: str | None) -> None:
    with pytest.raises(ProjectError, match="secret key"):
        mask(TABLE, {"email": "hash"}, key)


def test_nothing_personal_changes_nothing() -> None:
    assert mask(TABLE, {}, None).equals(TABLE)
