from __future__ import annotations

import os
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from everfit.adapters.state.postgres import PostgresConfig, PostgresState
from everfit.errors import StorageError
from everfit.testing.contracts import StateStoreContract
from tests.services.postgres import Postgres, absent, postgres

ADDRESS = "EVERFIT_TEST_POSTGRES"  # also the processes that a suite starts must find the server


@pytest.fixture(autouse=True)
def address(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(ADDRESS, postgres_server.url())
    return postgres_server.url()


def opened(space: object) -> PostgresState:
    return PostgresState(PostgresConfig(os.environ[ADDRESS], str(space)))


class TestPostgresState(StateStoreContract):
    def make(self, folder: Path) -> PostgresState:
        return opened(folder)


def test_two_spaces_in_one_database_share_nothing(tmp_path: Path) -> None:
    dev, production = opened(tmp_path / "dev"), opened(tmp_path / "production")
    dev.append("ledger", b"1")
    assert production.read("ledger") == []
    assert production.append("ledger", b"2", expect=0) == 1


def test_a_plain_postgresql_address_is_taken(address: str, tmp_path: Path) -> None:
    plain = address.replace("postgresql+psycopg2", "postgresql")
    assert PostgresState(PostgresConfig(plain, str(tmp_path))).append("s", b"1") == 1


def test_tables_are_made_once_by_however_many_come_at_the_same_time(postgres_server: Postgres) -> None:
    fresh = postgres_server.create("together")
    stores = [PostgresState(PostgresConfig(fresh, "churn/dev")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda store: store.append("s", b"1"), stores)) == list(range(1, 9))


def test_tables_of_a_version_that_is_not_known_are_left_alone(postgres_server: Postgres) -> None:
    fresh = postgres_server.create("newer")
    PostgresState(PostgresConfig(fresh, "churn/dev")).append("s", b"1")
    with create_engine(fresh).begin() as connection:
        connection.execute(text("UPDATE everfit_schema SET version = 99"))
    with pytest.raises(StorageError, match="version 99"):
        PostgresState(PostgresConfig(fresh, "churn/dev")).append("s", b"2")


def test_a_user_who_may_not_make_tables_uses_those_that_are_there(postgres_server: Postgres) -> None:
    fresh = postgres_server.create("granted")
    PostgresState(PostgresConfig(fresh, "churn/dev")).append("s", b"1")
    with create_engine(fresh).begin() as connection:
        connection.execute(text("CREATE USER clerk PASSWORD 'clerk'"))
        connection.execute(text("GRANT SELECT, INSERT ON everfit_documents, everfit_schema TO clerk"))
    clerk = fresh.replace(f"postgres:{postgres_server.password}", "clerk:clerk")
    assert PostgresState(PostgresConfig(clerk, "churn/dev")).append("s", b"2") == 2


def test_a_connection_that_the_server_ended_is_opened_anew(address: str, tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append("s", b"1")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'everfit'"
    with create_engine(address).begin() as connection:
        connection.execute(text(end))
    assert store.append("s", b"2") == 2
    assert [document for _, document in store.read("s")] == [b"1", b"2"]


def test_an_append_whose_answer_was_lost_is_not_written_twice(address: str, tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append("s", b"1")
    broken = threading.Event()
    dialect = store._database.engine().dialect
    commit = dialect.do_commit

    def commit_and_break(connection: psycopg2.extensions.connection) -> None:
        # What a network does: the server commits, and the client hears only that the connection is gone.
        commit(connection)
        if not broken.is_set():
            broken.set()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    dialect.do_commit = commit_and_break
    assert store.append("s", b"2", expect=1) == 2
    assert broken.is_set()
    assert store.read("s") == [(1, b"1"), (2, b"2")]


def test_a_server_that_goes_and_comes_is_told_of_and_worked_with_again(tmp_path: Path) -> None:
    if reason := absent():
        pytest.skip(reason)
    with postgres() as server:
        store = PostgresState(PostgresConfig(server.url(), "churn/dev"))
        store.append("s", b"1")
        server.stop(crash=True)
        for refused in (lambda: store.append("s", b"2"), lambda: store.read("s"), lambda: store.last("s")):
            with pytest.raises(StorageError, match="PostgreSQL"):
                refused()
        server.start()
        assert store.append("s", b"2", expect=1) == 2
        assert store.read("s") == [(1, b"1"), (2, b"2")]


def test_opening_connects_to_nothing() -> None:
    PostgresState(PostgresConfig("postgresql://nobody@127.0.0.1:1/none", "churn/dev"))


@pytest.mark.parametrize("address", ["postgresql://eve:hush-hush@127.0.0.1:{port}/postgres",
                                     "postgresql://127.0.0.1:{port}/postgres?user=eve&password=hush-hush",
                                     "postgresql://postgres:hush-hush@127.0.0.1:1/postgres"])  # fmt: skip
def test_the_password_is_in_no_message(address: str, postgres_server: Postgres) -> None:
    config = PostgresConfig(address.format(port=postgres_server.port), "churn/dev")
    with pytest.raises(StorageError) as told:
        PostgresState(config).append("s", b"1")
    assert "hush-hush" not in "".join(traceback.format_exception(told.value)) + repr(config)
    assert "127.0.0.1" in str(told.value)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_store_opened_before_a_fork_works_on_both_sides(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append("s", b"parent")
    child = os.fork()
    if child == 0:
        os._exit(0 if store.append("s", b"child") == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.append("s", b"parent again") == 3
