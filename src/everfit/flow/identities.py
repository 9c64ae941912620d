"""The identities of steps, remembered from run to run: reading the code of thirty steps takes a tenth of a second,
seeing that no module's text has changed a hundredth of that of a run."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from everfit.errors import StorageError
from everfit.flow.code import CodeIdentity, Reach, reach, versions
from everfit.flow.definitions import exists, find
from everfit.flow.named import Named, Signature
from everfit.ports import ArtifactStore
from everfit.records.codec import decode, encode

_READERS = ("everfit.flow.code", "everfit.flow.definitions", "everfit.flow.named", "everfit.flow.scopes")


@dataclass(frozen=True, slots=True)
class Known:
    """What a function's identity comes to while the texts of its modules stay: see `Reach`; and its signature, where it
    was asked for by its name."""

    digest: str
    outside: tuple[str, ...]
    words: tuple[str, ...]
    modules: tuple[str, ...]
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Functions by `module:name`, and the hash of each module's text that any of them depends on."""

    modules: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Known] = field(default_factory=dict)


class Identities:
    """`identity` for functions whose code is in the `first_party` packages. What was found out is kept in the store by
    `keep`; only plain functions at a module's top level are remembered, for others are more than their text."""

    def __init__(self, store: ArtifactStore, first_party: Sequence[str]) -> None:
        self._store = store
        self._first_party = tuple(first_party)
        self._key = _key(self._first_party)
        self._old = _valid(_read(store, self._key))
        self._new: dict[str, tuple[Reach, Signature | None]] = {}
        self._exists = functools.cache(exists)

    def named(self, module: str, name: str) -> Named:
        """The function of that name, with its signature where it is remembered."""
        known = self._old.functions.get(f"{module}:{name}")
        return Named(module, name, known.signature if known else None)

    def of(self, function: Callable[..., Any] | Named) -> CodeIdentity:
        """The function's identity, without its parts where it is remembered. Raises as `identity` does."""
        name = _name(function)
        known = self._old.functions.get(name)
        if known:
            return CodeIdentity(known.digest, self._versions(known))
        found = reach(function.load() if isinstance(function, Named) else function, self._first_party)
        if name:
            self._new[name] = (found, function.signature if isinstance(function, Named) else None)
        return CodeIdentity(found.digest, self._versions(found), found.parts)

    def _versions(self, of: Known | Reach) -> Mapping[str, str]:
        return versions({*of.outside, *filter(self._exists, of.words)})

    def keep(self) -> None:
        """Remembers what is new. StorageError when the store refuses."""
        if self._new:
            modules = {name: text for found, _ in self._new.values() for name, text in found.modules.items()}
            functions = {name: _known(*found) for name, found in self._new.items()}
            memory = Memory({**self._old.modules, **modules}, {**self._old.functions, **functions})
            self._store.link(self._key, encode(memory))


def _key(first_party: Sequence[str]) -> str:
    readers = [source.digest for source in map(find, _READERS) if source]
    text = json.dumps(["code", sys.version_info[:3], first_party, readers])
    return hashlib.sha256(text.encode()).hexdigest()


def _read(store: ArtifactStore, key: str) -> Memory:
    text = store.resolve(key)
    try:
        return Memory() if text is None else decode(Memory, text)
    except StorageError:  # damaged: it is found out again
        return Memory()


def _valid(memory: Memory) -> Memory:
    """What still holds: functions none of whose modules' texts has changed."""
    same = {name for name, text in memory.modules.items() if _digest(name) == text}
    functions = {name: known for name, known in memory.functions.items() if same.issuperset(known.modules)}
    return Memory({name: memory.modules[name] for known in functions.values() for name in known.modules}, functions)


def _digest(module: str) -> str:
    source = find(module)
    return source.digest if source else ""


def _known(found: Reach, signature: Signature | None) -> Known:
    outside, words = tuple(sorted(found.outside)), tuple(sorted(found.words))
    return Known(found.digest, outside, words, tuple(found.modules), signature)


def _name(function: Callable[..., Any] | Named) -> str:
    """`module:name` of a function that is just what its module's text defines under that name; "" for any other."""
    if isinstance(function, Named):
        return str(function)
    if not isinstance(function, types.FunctionType) or function.__closure__ or hasattr(function, "__wrapped__"):
        return ""
    module = sys.modules.get(function.__module__)
    there = getattr(module, function.__qualname__, None) is function
    return f"{function.__module__}:{function.__qualname__}" if there else ""
