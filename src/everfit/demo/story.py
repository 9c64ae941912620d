"""The whole story, chapter by chapter, on a real project in a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from everfit.demo import answering, changing, folder, learning, releasing
from everfit.demo.service import Client, serving
from everfit.demo.telling import Story, Teller
from everfit.demo.world import Clock, World, month_before_midnight
from everfit.flow import ledger
from everfit.ports import Progress
from everfit.project.load import load
from everfit.reporting.page import page as drawn
from everfit.reports import report
from everfit.testing.churn import ENTITY
from everfit.wiring import tracking_uri
from everfit.workspace import Workspace

_HASH = 64
_PARTS = ("training", "quiet weeks", "drift", "retraining", "canary")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see: where, on how many customers a week, of which seed, in full or fast."""

    into: Path
    rows: int
    seed: int
    fast: bool


def tell(wish: Wish, teller: Teller, progress: Progress) -> Story:
    """Plays the story and returns it with its facts. What came out otherwise than told is in `surprises`.

    Raises ProjectError when the folder holds files of somebody else, and whatever stops a step."""
    story = _begin(wish, teller, progress)
    began = time.perf_counter()
    history = story.world.history()
    history.write_parquet(story.folder / folder.TABLE)
    with _timed(story, "training"):
        trained = story.workspace.run()
    learning.data(story, trained)
    learning.candidates(story, trained)
    learning.gates(story, trained)
    answering.release(story)
    with serving(story.workspace) as client:
        answering.answers(story, client, history)
        _live(story, client, history[ENTITY][0])
    story.seconds["all"] = time.perf_counter() - began
    _onward(story)
    return story


def document(story: Story) -> dict[str, Any]:
    """The story's facts for a machine."""
    return {"folder": str(story.folder), **story.facts, "surprises": story.surprises, "seconds": story.seconds}


def _begin(wish: Wish, teller: Teller, progress: Progress) -> Story:
    if folder.prepare(wish.into):
        teller.line(f"The earlier demo in {wish.into} is replaced.", "yellow")
    project = folder.write(wish.into, wish.seed, wish.fast)
    clock = Clock(month_before_midnight(datetime.now(UTC)))
    # The story shows the alarms itself, and says when the server shall follow a release.
    loaded = load(project, overrides=("alerts=[]", "serving.refresh=1h"))
    workspace = Workspace(loaded, progress, author="demo", clock=clock)
    world = World(wish.rows, wish.seed, clock.now)
    teller.line(
        f"A company's customers, and a model that says who will leave: a month in {wish.into}, all of it real but the "
        "customers and the clock. Training first.",
    )
    return Story(wish.into, workspace, world, clock, teller)


def _live(story: Story, client: Client, customer: str) -> None:
    """Everything that happens while the server answers."""
    with _timed(story, "quiet weeks"):
        answering.quiet(story, client)
    with _timed(story, "drift"):
        decision = changing.drift(story, client)
    with _timed(story, "retraining"):
        going_on = changing.retraining(story, decision)
    if not going_on:
        return
    with _timed(story, "canary"):
        releasing.canary(story, client)
    releasing.rollback(story, client, {ENTITY: customer})
    releasing.history(story)


def _onward(story: Story) -> None:
    """The last chapter: where everything is."""
    facts = story.chapter("next", "Where to look next")
    ports, project = story.workspace.ports, story.folder / folder.PROJECT
    made = ledger.versions(ports.state)
    bundle = ports.artifacts.get(made[max(made)].bundle_hash)
    commands = {
        "who answers, how well": f"everfit status -p {project}",
        "every event, its evidence": f"everfit history -p {project}",
        "the server; see its /docs": f"everfit serve -p {project}",
        "version 2 once more": f"everfit release 2 --force -p {project}",
        "experiments, pictures": f"mlflow ui --backend-store-uri {_short(tracking_uri(ports))}",
    }
    files = {
        "the project": str(project),
        "its features": str(story.folder / folder.FEATURES),
        "version 2, its card, pictures": _short(str(bundle)),
        "what the looks found, drawn": str(_drawn(story)),
        "every prediction": _short(str(ports.folder / "predictions")),
    }
    facts |= {"commands": commands, "files": files}
    story.teller.table("", ("", "command"), commands.items())
    short = {what: _globbed(path) for what, path in files.items()}
    story.teller.table("", ("", "file or folder"), short.items())
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in story.seconds.items() if name in _PARTS)
    story.teller.line(f"All of it took {story.seconds['all']:.0f} s ({parts}).", "bold")


def _drawn(story: Story) -> Path:
    """The report of the month, as `everfit report` writes it."""
    page = story.folder / folder.REPORT
    page.write_text(drawn(report(story.workspace)), encoding="utf-8")
    return page


def _globbed(path: str) -> str:
    """The path with a hash cut to what a shell completes.

    >>> _globbed("a/b"), _globbed("a/" + 64 * "e")
    ('a/b', 'a/eeeeeeee*')
    """
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name[:8]}*" if len(name) == _HASH else path


def _short(path: str) -> str:
    """The path as one would type it here."""
    here = str(Path.cwd())
    return path.replace(here + "/", "")


@contextmanager
def _timed(story: Story, part: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    story.seconds[part] = time.perf_counter() - began
