"""When a step's stored output may stand for running it, and why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from everfit.errors import StorageError
from everfit.flow.code import CodeIdentity
from everfit.flow.graph import Step
from everfit.ports import ArtifactStore
from everfit.records.codec import decode, encode


@dataclass(frozen=True)
class Recipe:
    """All that decides a step's output: the content of each input, which parameter takes which, the code that runs, the
    libraries it runs on."""

    step: str
    inputs: Mapping[str, str]
    code: str
    packages: Mapping[str, str]
    wiring: tuple[tuple[str, str | tuple[str, ...]], ...] = ()

    @cached_property
    def key(self) -> str:
        """The recipe's own hash, under which the output is remembered."""
        parts = [self.step, sorted(self.inputs.items()), self.code, sorted(self.packages.items()), self.wiring]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered: the output's content hash and how long it took to make, in seconds."""

    output: str
    seconds: float
    recipe: Recipe


def recipe(one: Step, digests: Mapping[str, str], code: CodeIdentity) -> Recipe:
    """The recipe of one step, whose inputs have these content hashes."""
    inputs = {name: digests[name] for name in one.sources}
    return Recipe(one.name, inputs, code.digest, dict(code.packages), tuple(one.needs.items()))


def find(store: ArtifactStore, wanted: Recipe) -> Entry | None:
    """The entry for exactly this recipe whose stored bytes are still what was written; None otherwise."""
    entry = _read(store, wanted.key)
    return entry if entry is not None and store.get(entry.output) is not None else None


def remember(store: ArtifactStore, pipeline: str, entry: Entry) -> None:
    """Makes the entry findable by its recipe, and as the newest one of its step."""
    text = encode(entry)
    store.link(entry.recipe.key, text)
    store.link(_newest(pipeline, entry.recipe.step), text)


def why_missed(store: ArtifactStore, pipeline: str, wanted: Recipe) -> str:
    """What differs from the last time that the step ran, for people."""
    if store.resolve(wanted.key) is not None:
        return "the stored output is missing or its bytes were changed"
    entry = _read(store, _newest(pipeline, wanted.step))
    if entry is None:
        return "first run"
    last = entry.recipe
    reasons = [f"`{name}` {_verb(name, last.inputs)}" for name in _changed(wanted.inputs, last.inputs)]
    if (wanted.code, wanted.wiring) != (last.code, last.wiring):
        reasons.append("the code changed")
    reasons += [
        f"{name} {last.packages.get(name, 'absent')} > {wanted.packages.get(name, 'absent')}"
        for name in _changed(wanted.packages, last.packages)
    ]
    return "; ".join(reasons) or "first run with these inputs"


def _read(store: ArtifactStore, key: str) -> Entry | None:
    """The entry under the key; None where there is none that can be read, for it can be made again."""
    text = store.resolve(key)
    try:
        return None if text is None else decode(Entry, text, where=f"cache entry {key[:12]}")
    except StorageError:
        return None


def _newest(pipeline: str, step: str) -> str:
    return hashlib.sha256(f"newest/{pipeline}/{step}".encode()).hexdigest()


def _changed(now: Mapping[str, str], last: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({*now, *last}) if now.get(name) != last.get(name)]


def _verb(name: str, last: Mapping[str, str]) -> str:
    return "changed" if name in last else "is new"
