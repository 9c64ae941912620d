"""Two `everfit run` at once on one project."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from everfit.records.release import EventKind
from everfit.records.run import Status
from tests.integration.killing import check_files, check_versions
from tests.integration.projects import SmallProject, finish


@pytest.mark.parametrize(("seeds", "versions"), [((1, 2), [1, 2]), ((5, 5), [1])])
def test_two_runs_at_once_both_end_well_and_nothing_is_lost(
    project: Callable[..., SmallProject], seeds: tuple[int, int], versions: list[int]
) -> None:
    made = project(rows=600)
    started = [made.start("run", f"--set=training.seed={seed}") for seed in seeds]
    outcomes = [finish(process) for process in started]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    records = made.runs()
    assert sorted(record.pid for record in records) == sorted(process.pid for process in started)
    assert {record.status for record in records} == {Status.DONE}
    registered = [event.version for event in made.events() if event.kind is EventKind.REGISTERED]
    assert sorted(registered) == versions
    check_versions(made)
    check_files(made.store)
