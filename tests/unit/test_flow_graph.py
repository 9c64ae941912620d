"""Wiring by names: what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from everfit.errors import ProjectError
from everfit.flow.graph import graph, step


def raw(source: str) -> list[float]:
    return [float(value) for value in source.split()]


def total(raw: list[float]) -> float:
    return sum(raw)


def report(total: float, raw: list[float], digits: int = 2) -> str:
    return f"{total:.{digits}f} of {len(raw)}"


def early(late: int) -> int:
    return late


def late(early: int) -> int:
    return early


def folder(total: float, into: Path) -> Path:
    return into


def test_steps_come_in_an_order_in_which_they_can_run() -> None:
    wired = graph([step(report), step(total), step(raw)], given=["source"])
    assert [one.name for one in wired.steps] == ["raw", "total", "report"]


def test_a_missing_input_names_the_step_and_the_nearest_name() -> None:
    with pytest.raises(ProjectError, match="needs `raw`, which no step makes") as caught:
        graph([step(total)], given=["row"])
    assert (caught.value.where, caught.value.fix) == ("step total", "did you mean `row`?")


def test_where_no_name_is_near_all_are_told() -> None:
    with pytest.raises(ProjectError) as caught:
        graph([step(total)], given=["customers"])
    assert caught.value.fix == "known are: customers, total"


def test_a_circle_is_shown_as_one() -> None:
    with pytest.raises(ProjectError, match=r"steps wait for each other: (early > late > early|late > early > late)"):
        graph([step(early), step(late)])


def test_a_step_that_waits_for_itself_is_a_circle() -> None:
    with pytest.raises(ProjectError, match="steps wait for each other: total > total"):
        graph([step(total, raw="total")])


@pytest.mark.parametrize("given", [["source", "raw"], ["source"]])
def test_two_things_of_one_name_are_refused(given: list[str]) -> None:
    steps = [step(raw)] if "raw" in given else [step(raw), step(raw)]
    with pytest.raises(ProjectError, match="two things are named `raw`"):
        graph(steps, given)


def test_a_parameter_may_take_an_output_of_another_name_or_several() -> None:
    both = step(report, total="first", raw=("second", "third"))
    assert both.needs == {"total": "first", "raw": ("second", "third")}
    assert both.sources == ("first", "second", "third")


def test_parameters_with_a_default_and_the_folder_are_no_inputs() -> None:
    assert (step(report).sources, step(folder).sources) == (("total", "raw"), ("total",))
    assert (step(report).wants_folder, step(folder).wants_folder) == (False, True)


def test_a_step_is_found_by_its_own_name() -> None:
    wired = graph([step(raw, name="prices", source="text")], given=["text"])
    assert wired["prices"].output == list[float]
