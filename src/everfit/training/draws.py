"""Which settings to try: the first ones, random ones, and those that a sampler expects most of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

import numpy as np

from everfit.records.model import Param, Trial, TrialStatus
from everfit.training.families import Family

Params = Mapping[str, Param]
_LISTED = 100_000  # spaces up to this size are drawn from without repetition


def draws(family: Family, trials: int, seed: int) -> list[dict[str, Param]]:
    """Up to `trials` different settings: the family's defaults, then random points of its space.

    The draws of a family depend on its name and the seed, not on which other families compete.
    """
    settings = [dict(family.defaults)]
    seen = {_key(settings[0])}
    space = _space(family)
    for point in islice(_points(space, seed, family.name), _size(space)):
        if len(settings) == trials:
            break
        setting = {**family.defaults, **point}
        if _key(setting) not in seen:
            seen.add(_key(setting))
            settings.append(setting)
    return settings


class Sampler:
    """Asks Optuna's sampler for settings, a batch at a time, and tells it what came of them.

    A tree-structured Parzen estimator (Bergstra et al. 2011), over the positions in the lists of values where these
    are numbers in order. The first batch is random. What is asked depends on the family, the seed and what was told,
    in that order: never on who computes it or how many do.
    """

    def __init__(self, family: Family, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._family, self._space = family, _space(family)
        self._seen: set[str] = set()
        self._rest = (
            {**family.defaults, **point}
            for point in islice(_points(self._space, seed, family.name), 10 * _size(self._space))
        )
        sampler = optuna.samplers.TPESampler(
            seed=(seed ^ crc32(family.name.encode())) & 0x7FFFFFFF, n_startup_trials=5, constant_liar=True
        )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[str, Any] = {}

    def ask(self, number: int, first: Sequence[Params] = ()) -> list[Params]:
        """Up to that many settings that were not asked for yet, `first` before all others; none when the space is used
        up."""
        found = [setting for setting in first[:number] if self._is_new(setting)]
        for _ in range(2 * number if self._space else 0):
            if len(found) == number or len(self._seen) >= _size(self._space):
                break
            asked = self._study.ask(self._distributions())
            setting = {**self._family.defaults, **{n: self._value(n, at) for n, at in asked.params.items()}}
            if self._is_new(setting):
                self._asked[_key(setting)] = asked
                found.append(setting)
        found.extend(islice((setting for setting in self._rest if self._is_new(setting)), number - len(found)))
        return found

    def tell(self, trial: Trial, params: Params) -> None:
        """What came of a setting, whoever asked for it."""
        import optuna

        states = optuna.trial.TrialState
        state = {TrialStatus.COMPLETE: states.COMPLETE, TrialStatus.PRUNED: states.PRUNED}.get(
            trial.status, states.FAIL
        )
        self._seen.add(_key(params))
        asked = self._asked.pop(_key(params), None)
        if asked is not None:
            if trial.scores:
                asked.report(trial.mean, len(trial.scores))
            self._study.tell(asked, trial.mean if state is states.COMPLETE else None, state=state)
        elif state is states.COMPLETE and self._space and (at := self._position(params)) is not None:
            self._study.add_trial(
                optuna.trial.create_trial(params=at, distributions=self._distributions(), value=trial.mean)
            )

    def _is_new(self, setting: Params) -> bool:
        key = _key(setting)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _distributions(self) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        def _categories(low: int, high: int) -> CategoricalDistribution:
            return CategoricalDistribution(range(low, high + 1))

        return {
            name: IntDistribution(0, len(values) - 1)
            if _in_order(values)
            else CategoricalDistribution(range(len(values)))
            for name, values in self._space.items()
        }

    def _value(self, name: str, at: int) -> Param:
        return self._space[name][at]

    def _position(self, params: Params) -> dict[str, int] | None:
        """Where the setting lies in the space; None for one outside."""
        if any(params.get(name) not in values for name, values in self._space.items()):
            return None
        return {name: values.index(params[name]) for name, values in self._space.items()}


def _in_order(values: Sequence[Param]) -> bool:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) and numbers == sorted(numbers)


def _space(family: Family) -> dict[str, tuple[Param, ...]]:
    return {name: values for name, values in family.space.items() if values}


def _key(setting: Params) -> str:
    return repr(sorted(setting.items()))


def _size(space: Mapping[str, tuple[Param, ...]]) -> int:
    return math.prod(len(values) for values in space.values())


def _points(space: Mapping[str, tuple[Param, ...]], seed: int, name: str) -> Iterator[dict[str, Param]]:
    """Random points of the product space; each point once where the space is small enough to list."""
    random = np.random.default_rng([seed, crc32(name.encode())])
    sizes = [len(values) for values in space.values()]
    if _size(space) <= _LISTED:
        for number in random.permutation(_size(space)):
            at: Iterable[Any] = np.unravel_index(number, sizes) if sizes else ()
            yield {n: values[int(i)] for (n, values), i in zip(space.items(), at, strict=True)}
    while True:
        yield {n: values[int(random.integers(len(values)))] for n, values in space.items()}
