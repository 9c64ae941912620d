from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import everfit.adapters
from everfit.testing.contracts import CONTRACTS


def _classes(module_name: str) -> Iterator[type]:
    module = importlib.import_module(module_name)
    for _, found in inspect.getmembers(module, inspect.isclass):
        if found.__module__ == module_name:
            yield found


def _methods(port: type) -> set[str]:
    return {name for name, value in vars(port).items() if inspect.isfunction(value) and not name.startswith("_")}


def _port(found: type) -> type | None:
    """The port whose methods the class has; of several, the one with the most."""
    fitting = [port for port in CONTRACTS if all(callable(getattr(found, name, None)) for name in _methods(port))]
    return max(fitting, key=lambda port: len(_methods(port)), default=None)


def _adapters() -> list[tuple[type, type]]:
    modules = [info.name for info in pkgutil.walk_packages(everfit.adapters.__path__, "everfit.adapters.")]
    found = [cls for name in modules for cls in _classes(name) if not cls.__name__.startswith("_")]
    return [(cls, port) for cls in found if (port := _port(cls)) is not None]


def _tested() -> set[tuple[type, type]]:
    """(adapter, contract) of each test class in this folder: what its `make` says that it returns."""
    modules = [f"tests.adapters.{path.stem}" for path in Path(__file__).parent.glob("test_*.py")]
    tests: list[Any] = [
        cls for name in modules if name != __name__ for cls in _classes(name) if cls.__name__.startswith("Test")
    ]
    return {
        (get_type_hints(cls.make)["return"], contract)
        for cls in tests
        for contract in CONTRACTS.values()
        if issubclass(cls, contract)
    }


@pytest.mark.parametrize(("adapter", "port"), _adapters(), ids=lambda cls: cls.__name__)
def test_adapter_passes_the_contract_of_its_port(adapter: type, port: type) -> None:
    contract = CONTRACTS[port]
    missing = f"write `class Test{adapter.__name__}({contract.__name__})` with a `make` that returns {adapter.__name__}"
    assert (adapter, contract) in _tested(), missing


def test_the_search_finds_adapters_and_their_ports() -> None:
    names = {(adapter.__name__, port.__name__) for adapter, port in _adapters()}
    assert names >= {
        ("SqliteState", "StateStore"),
        ("FolderArtifacts", "ArtifactStore"),
        ("SqliteLabels", "LabelStore"),
        ("SqliteOnline", "OnlineStore"),
    }
