"""Fixtures of the servers that tests start themselves; each skips with a reason where its server is not installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import alertmanager, evidently, kserve_client, postgres, prometheus, pushgateway


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server for all tests of a process: each uses a space or a database of its own, and none stops it."""
    if reason := postgres.absent():
        pytest.skip(reason)
    with postgres.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def alertmanager_server() -> Iterator[alertmanager.Alertmanager]:
    """An Alertmanager for all tests of a process: each looks for its own alarm's id."""
    if reason := alertmanager.absent():
        pytest.skip(reason)
    with alertmanager.alertmanager() as server:
        yield server


@pytest.fixture(scope="session")
def pushgateway_server() -> Iterator[str]:
    """The address of a Pushgateway for all tests of a process: each pushes a job of its own."""
    if reason := pushgateway.absent():
        pytest.skip(reason)
    with pushgateway.pushgateway() as url:
        yield url


@pytest.fixture(scope="session")
def prometheus_installed() -> None:
    """Prometheus and promtool, to be started by `tests.services.prometheus`."""
    if reason := prometheus.absent():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kserve_environment() -> None:
    """KServe's client, to be run by `tests.services.kserve_client.run`."""
    if reason := kserve_client.absent():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def evidently_python() -> str:
    """The Python of an environment that has Evidently."""
    if reason := evidently.absent():
        pytest.skip(reason)
    return str(evidently.python())
