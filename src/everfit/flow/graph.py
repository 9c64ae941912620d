"""Steps wired by names: a parameter is the output of the step of that name, or a value given from outside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from types import SimpleNamespace
from typing import Any, get_type_hints

from everfit.errors import ProjectError
from everfit.flow.code import CodeIdentity
from everfit.flow.named import Named

# The runner hands a fresh folder to a parameter of this name, for steps whose output is a folder of files.
FOLDER = "into"


@dataclass(frozen=True)
class Step:
    """A typed function with a name for its output.

    `bind` maps a parameter to the output it takes when the two differ in name, or to several, which arrive as a
    tuple. A step that is not `cached` runs every time: publishing, for example.
    """

    name: str
    function: Callable[..., Any] | Named
    bind: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    cached: bool = True

    @cached_property
    def needs(self) -> Mapping[str, str | tuple[str, ...]]:
        """Parameter to the name, or names, of what it takes; parameters with a default and the folder left out."""
        return {name: self.bind.get(name, name) for name in self._parameters if name != FOLDER}

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The names of all that the step takes, flat."""
        return tuple(name for need in self.needs.values() for name in ((need,) if isinstance(need, str) else need))

    @property
    def wants_folder(self) -> bool:
        """Whether the function takes a fresh folder to write its output into."""
        return FOLDER in self._parameters

    @cached_property
    def output(self) -> Any:
        """The type that the function says it returns; those of its parameters are not looked at."""
        if isinstance(self.function, Named):
            return self.function.output
        says = SimpleNamespace(__annotations__={"return": self.function.__annotations__["return"]})
        return get_type_hints(says, inspect.unwrap(self.function).__globals__)["return"]

    @cached_property
    def _parameters(self) -> tuple[str, ...]:
        """The names of those without a default."""
        if isinstance(self.function, Named):
            return self.function.parameters
        parameters = inspect.signature(self.function).parameters
        return tuple(name for name, one in parameters.items() if one.default is one.empty)


def step(function: Callable[..., Any] | Named, *, name: str | None = None, cached: bool = True, **bind: Any) -> Step:
    """A step from a function: named as the function unless told otherwise.

    >>> def total(prices: list[float]) -> float:
    ...     return sum(prices)
    >>> step(total, prices="cleaned").needs
    {'prices': 'cleaned'}
    """
    named = function.name if isinstance(function, Named) else function.__name__
    return Step(name or named, function, bind, cached)


@dataclass(frozen=True)
class Graph:
    """Steps in an order in which they can run. `libraries` are modules that several of them import when they run: two
    threads that begin to import one package at once can meet half-made modules, so the runner does it for them.
    `codes` are the identities of the steps' code by name, of those for which they are known; the runner finds the
    others."""

    steps: tuple[Step, ...]
    libraries: tuple[str, ...] = ()
    codes: Mapping[str, CodeIdentity] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Step:
        return next(s for s in self.steps if s.name == name)

    def upto(self, *names: str) -> Graph:
        """The part that these steps need, and they themselves."""
        wanted = set(names)
        for one in reversed(self.steps):
            if one.name in wanted:
                wanted.update(one.sources)
        return Graph(tuple(one for one in self.steps if one.name in wanted), self.libraries, self.codes)


def graph(
    steps: Iterable[Step],
    given: Collection[str] = (),
    libraries: tuple[str, ...] = (),
    codes: Mapping[str, CodeIdentity] | None = None,
) -> Graph:
    """Wires the steps; `given` names the values that come from outside.

    ProjectError when two outputs share a name, when a step needs what nothing makes, or when steps wait for each
    other in a circle.

    >>> def doubled(x: int) -> int:
    ...     return 2 * x
    >>> graph([step(doubled)], given=["y"])
    Traceback (most recent call last):
    ...
    everfit.errors.ProjectError: step doubled: needs `x`, which no step makes and nothing gives
      fix: known are: doubled, y
    """
    by_name: dict[str, Step] = {}
    for one in steps:
        if one.name in by_name or one.name in given:
            raise ProjectError(f"two things are named `{one.name}`", where="pipeline", fix="rename one of them")
        by_name[one.name] = one
    known = {*by_name, *given}
    for one in by_name.values():
        for source in one.sources:
            if source not in known:
                raise _missing(one, source, known)
    return Graph(tuple(by_name[name] for name in _ordered(by_name) if name in by_name), libraries, codes or {})


def _ordered(steps: Mapping[str, Step]) -> list[str]:
    try:
        return list(TopologicalSorter({name: one.sources for name, one in steps.items()}).static_order())
    except CycleError as error:
        circle = " > ".join(reversed(error.args[1]))
        raise ProjectError(
            f"steps wait for each other: {circle}", where="pipeline", fix="let one of them take something else"
        ) from error


def _missing(one: Step, source: str, known: Collection[str]) -> ProjectError:
    near = get_close_matches(source, known, 1)
    fix = f"did you mean `{near[0]}`?" if near else "known are: " + ", ".join(sorted(known))
    return ProjectError(f"needs `{source}`, which no step makes and nothing gives", where=f"step {one.name}", fix=fix)
