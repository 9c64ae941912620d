"""kill -9 of `everfit run` at any moment leaves the old state or the new one, and the next run goes on from there."""

from __future__ import annotations

import itertools
import json
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from everfit.records.run import Status
from tests.integration import projects
from tests.integration.killing import Ended, Zygote, check_files, check_resumed, check_versions
from tests.integration.projects import SmallProject

SEED = 20_250_101
BATCHES, MOMENTS = 5, 5  # 25 kills: the first of each batch in a project's first run


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    started = Zygote()
    yield started
    started.close()


@dataclass
class Lengths:
    """Seconds that a project's first run takes, and a later one with another seed, when nobody kills them."""

    first: float
    later: float


@pytest.fixture(scope="session")
def lengths(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Lengths:
    project = projects.write(tmp_path_factory.mktemp("length"), 600)
    ended = [zygote.run(project, seed(number)) for number in range(2)]
    assert [one.code for one in ended] == [0, 0], ended
    return Lengths(ended[0].seconds, ended[1].seconds)


def seed(number: int) -> str:
    return f"--set=training.seed={number}"


def kill_one(
    zygote: Zygote, project: SmallProject, seeds: Iterator[str], draw: random.Random, lengths: Lengths, executor: str
) -> tuple[tuple[str, str], Ended]:
    """A run killed at a moment of its length; the next seed's, where one was over before the kill."""
    for one in itertools.islice(seeds, 20):
        length = lengths.later if project.store.exists() else lengths.first
        arguments = (one, f"--set=training.executor={executor}")
        ended = zygote.run(project, *arguments, kill_after=draw.uniform(0, length))
        if ended.code == -signal.SIGKILL and "version" not in ended.steps:
            return arguments, ended
        assert ended.code in (0, -signal.SIGKILL), ended.errors
        lengths.later = min(lengths.later, ended.seconds)
    raise AssertionError("every run was over before it was killed")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_run_killed_at_any_moment_is_resumed_by_the_next_and_leaves_nothing_half_done(
    zygote: Zygote, lengths: Lengths, project: Callable[..., SmallProject], batch: int
) -> None:
    made, draw, seeds = project(rows=600), random.Random(SEED + batch), map(seed, itertools.count())
    for moment in range(MOMENTS):
        executor = "processes" if batch == 0 and moment > 2 else "serial"
        arguments, killed = kill_one(zygote, made, seeds, draw, lengths, executor)
        after = zygote.run(made, *arguments)
        assert after.code == 0, after.errors
        if killed.steps:
            check_resumed(made, killed)
        check_files(made.store)
        check_versions(made)
    assert made.runs()[-1].status is Status.DONE


def test_a_stored_output_whose_bytes_were_changed_is_made_again_and_why_says_so(trained: SmallProject) -> None:
    (encoder,) = [step for step in trained.runs()[-1].steps if step.name == "encoder"]
    stored = trained.store / "artifacts" / encoder.output[:2] / encoder.output / "record.json"
    before = stored.read_bytes()
    stored.write_bytes(before.replace(b"1", b"2", 1))
    said = trained.call("run", "--why", "--json")
    steps = {step["name"]: step for step in json.loads(said.out)["run"]["steps"]}
    assert steps["encoder"]["why"] == "the stored output is missing or its bytes were changed"
    assert {name for name, step in steps.items() if step["status"] == "done"} == {"encoder", "version"}
    assert stored.read_bytes() == before
    assert "the stored output is missing" not in trained.call("run", "--why").out


def test_why_is_told_to_people_too(trained: SmallProject) -> None:
    assert "nothing changed" in trained.call("run", "--why").out
    assert "`seed` changed" in " ".join(trained.call("run", "--why", "--set=training.seed=3").out.split())
