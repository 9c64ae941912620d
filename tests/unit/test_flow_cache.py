"""When a stored output stands for running the step, when it does not, and what a person is told about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.flow_places import Place, status, why

from everfit.flow import cache
from everfit.flow.code import CodeIdentity
from everfit.flow.graph import Step, step


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def price(net: float, tax: float) -> float:
    return net * (1 + tax)


def margin(net: float, cost: float) -> float:
    return net - cost


def rounded(price: float) -> int:
    return round(price)


def ordered(several: tuple[float, ...]) -> float:
    return several[0]


def test_the_first_run_says_so(place: Place) -> None:
    assert why(place.run(step(price), net=10.0, tax=0.2).record) == {"price": "first run"}


def test_nothing_changed(place: Place) -> None:
    place.run(step(price), step(rounded), net=10.0, tax=0.2)
    record = place.run(step(price), step(rounded), net=10.0, tax=0.2).record
    assert status(record) == {"price": "cached", "rounded": "cached"}
    assert set(why(record).values()) == {"nothing changed"}


def test_a_changed_input_is_named(place: Place) -> None:
    place.run(step(price), net=10.0, tax=0.2)
    assert why(place.run(step(price), net=10.0, tax=0.3).record) == {"price": "`tax` changed"}


def test_a_step_whose_inputs_came_out_the_same_is_not_run_again(place: Place) -> None:
    place.run(step(price), step(rounded), net=10.0, tax=0.2)
    record = place.run(step(price), step(rounded), net=20.0, tax=-0.4).record
    assert status(record) == {"price": "done", "rounded": "cached"}


def test_an_input_that_was_not_there_before_is_new(place: Place) -> None:
    place.run(step(price, name="result"), net=10.0, tax=0.2)
    told = why(place.run(step(margin, name="result"), net=10.0, cost=3.0).record)["result"]
    assert told == "`cost` is new; `tax` changed; the code changed"


def test_parameters_that_change_places_are_a_change(place: Place) -> None:
    place.run(step(price), net=10.0, tax=0.2)
    swapped = place.run(step(price, net="tax", tax="net"), net=10.0, tax=0.2)
    assert why(swapped.record) == {"price": "the code changed"}
    assert swapped["price"] == 0.2 * 11


def test_the_order_of_several_inputs_counts(place: Place) -> None:
    place.run(step(ordered, several=("a", "b")), a=1.0, b=2.0)
    assert place.run(step(ordered, several=("b", "a")), a=1.0, b=2.0)["ordered"] == 2.0


def test_no_cache_runs_everything_and_says_why(place: Place) -> None:
    place.run(step(price), net=10.0, tax=0.2)
    record = place.run(step(price), use_cache=False, net=10.0, tax=0.2).record
    assert (status(record), why(record)) == ({"price": "done"}, {"price": "--no-cache"})


def test_what_ran_without_the_cache_is_there_for_the_next(place: Place) -> None:
    place.run(step(price), use_cache=False, net=10.0, tax=0.2)
    assert status(place.run(step(price), net=10.0, tax=0.2).record) == {"price": "cached"}


def test_a_step_that_is_not_cached_runs_every_time(place: Place) -> None:
    for _ in range(2):
        record = place.run(step(price, cached=False), net=10.0, tax=0.2).record
        assert (status(record), why(record)) == ({"price": "done"}, {"price": "runs every time"})


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_output_is_noticed_and_made_again(place: Place, damage: str) -> None:
    record = place.run(step(price), net=10.0, tax=0.2).record
    file = place.artifacts._root / record.steps[0].output[:2] / record.steps[0].output / "record.json"
    file.write_text("999.0") if damage == "change" else file.unlink()
    again = place.run(step(price), net=10.0, tax=0.2)
    assert why(again.record) == {"price": "the stored output is missing or its bytes were changed"}
    assert again["price"] == 12.0
    assert again.record.steps[0].output == record.steps[0].output


def test_a_torn_entry_is_no_entry(place: Place) -> None:
    place.run(step(price), net=10.0, tax=0.2)
    for entry in (place.artifacts._root / "keys").iterdir():
        entry.write_bytes(entry.read_bytes()[:20])
    assert status(place.run(step(price), net=10.0, tax=0.2).record) == {"price": "done"}
    assert status(place.run(step(price), net=10.0, tax=0.2).record) == {"price": "cached"}


def wanted(one: Step, code: str = "c", **packages: str) -> cache.Recipe:
    return cache.recipe(one, {"net": "n", "tax": "t"}, CodeIdentity(code, packages))


def test_a_changed_package_is_named_with_both_versions(place: Place) -> None:
    old, new = wanted(step(price), numpy="2.0", scipy="1.0"), wanted(step(price), numpy="2.1", polars="2.0")
    cache.remember(place.artifacts, "test", cache.Entry("digest", 0.1, old))
    assert cache.find(place.artifacts, new) is None
    told = cache.why_missed(place.artifacts, "test", new)
    assert told == "numpy 2.0 > 2.1; polars absent > 2.0; scipy 1.0 > absent"


def test_a_setting_from_long_ago_is_found_again_without_a_reason_of_its_own(place: Place) -> None:
    for tax in (0.2, 0.3):
        place.run(step(price), net=10.0, tax=tax)
    assert status(place.run(step(price), net=10.0, tax=0.2).record) == {"price": "cached"}


MODULE = '''"""A module of a user."""
from helpers import rate


def price(net: float) -> float:
    return net * rate()


def unrelated() -> int:
    # {comment}
    return {unrelated}
'''
RUN = """
import sys
from pathlib import Path
from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.adapters.state.sqlite import SqliteState
from everfit.flow.graph import graph, step
from everfit.flow.run import Runner, Silent, setting
import prices
root = Path(sys.argv[1])
runner = Runner(FolderArtifacts(root / "a"), SqliteState(root / "s.db"), Silent(), root / "scratch",
                ("prices", "helpers"))
run = runner.run(graph([step(prices.price)], ["net"]), {"net": setting(10.0)}, pipeline="p")
print(run.record.steps[0].status.value, "|", run.record.steps[0].why, "|", run["price"])
"""


def in_a_process(folder: Path, rate: str, comment: str = "", unrelated: int = 1) -> tuple[str, str, float]:
    import everfit

    (folder / "helpers.py").write_text(rate)
    (folder / "prices.py").write_text(MODULE.format(comment=comment, unrelated=unrelated))
    environment = {"PYTHONPATH": f"{Path(everfit.__file__).parents[1]}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN, str(folder)]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    status, why, value = out.strip().split(" | ")
    return status, why, float(value)


def test_a_changed_helper_of_a_step_runs_it_again_and_a_changed_comment_elsewhere_does_not(tmp_path: Path) -> None:
    helper = "def rate() -> float:\n    return {}\n"
    assert in_a_process(tmp_path, helper.format("1.2")) == ("done", "first run", 12.0)
    assert in_a_process(tmp_path, helper.format("1.2"), "a comment", 2) == ("cached", "nothing changed", 12.0)
    commented = "# said beside it\n" + helper.format("1.2")
    assert in_a_process(tmp_path, commented) == ("cached", "nothing changed", 12.0)
    assert in_a_process(tmp_path, helper.format("1.5")) == ("done", "the code changed", 15.0)
