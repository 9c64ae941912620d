"""Queries run on databases that are opened for reading alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from everfit.adapters.sources.sql import SqlSource
from everfit.errors import SourceError
from tests.services.postgres import Postgres


@pytest.fixture
def shop(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("CREATE TABLE churn (customer, churned, at)")
    connection.execute("INSERT INTO churn VALUES ('c-1', 'Yes', '2026-01-01'), ('c-2', 'No', NULL)")
    connection.commit()
    connection.close()
    return f"sqlite:///{tmp_path / 'shop.db'}"


def refusal(address: str, query: str) -> str:
    with pytest.raises(SourceError) as told:
        SqlSource(address, query).read()
    return str(told.value)


def test_columns_have_the_names_that_the_query_gives(shop: str) -> None:
    found = SqlSource(shop, "SELECT customer AS customerID, churned AS value FROM churn WHERE at LIKE '2026%'").read()
    assert found.rows(named=True) == [{"customerID": "c-1", "value": "Yes"}]


@pytest.mark.parametrize("query", ["DELETE FROM churn", "DROP TABLE churn", "CREATE TABLE x (y)"])
def test_nothing_can_be_written(shop: str, query: str) -> None:
    assert "readonly" in refusal(shop, query)
    assert SqlSource(shop, "SELECT * FROM churn").read().height == 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "syntax"),
        ("SELECT * FROM absent", "no such table"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1 AS a, 2 AS a", "'a' twice"),
        ("", "gives no rows"),
    ],
)
def test_a_query_that_cannot_be_used_says_why(shop: str, query: str, said: str) -> None:
    assert said in refusal(shop, query)


@pytest.mark.parametrize("address", ["mysql://u:hidden@h/x", "shop.db", "sqlite:////nowhere/shop.db"])
def test_another_database_is_refused_without_its_address(address: str) -> None:
    assert "hidden" not in refusal(address, "SELECT 1")


def test_postgresql_is_read_and_never_written(postgres_server: Postgres) -> None:
    server = postgres_server.url()
    found = SqlSource(
        server,
        "SELECT 'c-%' || n AS customer, n::numeric(10, 2) AS value, timestamptz '2026-01-01' AS time "
        "FROM generate_series(1, 3) n",
    ).read()
    assert found["customer"].to_list() == ["c-%1", "c-%2", "c-%3"]
    assert found["value"].to_list() == [1.0, 2.0, 3.0]
    assert "read-only transaction" in refusal(server, "CREATE TABLE x (y int)")
    assert postgres_server.password not in refusal(postgres_server.url("absent"), "SELECT 1")
