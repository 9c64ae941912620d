"""A library imported when something in it is first asked for, though `import` stands at the top of many modules.

polars takes longer to import than all else that a command does when it has no table to read: `everfit run` while
nothing changed, `status`, `release`. Only the command line does this; who imports everfit gets libraries as ever.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any

_LOCK = RLock()


class _Later(ModuleType):
    """Stands in `sys.modules` for the library, takes its place's first question, and answers as the library does."""

    def __getattr__(self, name: str) -> Any:
        with _LOCK:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            library = import_module(self.__name__)
            # The next questions are answered without this method.
            self.__dict__.update(library.__dict__)
        return getattr(library, name)


def later(name: str) -> None:
    """From now on `import NAME` costs nothing until an attribute of it is used; nothing happens where it is imported
    already, or is not installed. `import NAME.PART` uses one, and should not be the first to."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        module = _Later(name)
        module.__spec__, module.__file__ = spec, spec.origin
        sys.modules[name] = module
