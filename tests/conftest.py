"""What holds for every test: where `EVERFIT_NO_SKIP` is set, as continuous integration does, a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator

import hypothesis
import pytest

# How long a test takes says something about the machine.
hypothesis.settings.register_profile("everfit", deadline=None)
hypothesis.settings.load_profile("everfit")
pytest_plugins = ("tests.services.plugin",)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("EVERFIT_NO_SKIP") and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} did not run, and EVERFIT_NO_SKIP is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the skip of a test into a failure with its reason."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    _refuse_skip(report)
    return report
