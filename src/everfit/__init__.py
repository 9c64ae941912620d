"""everfit keeps a machine-learning model fit for ever: the whole loop on tabular data, from one file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everfit.errors import EverfitError
    from everfit.project.sections.root import Project
    from everfit.workspace import Workspace, load

__version__ = "0.1.0"
__all__ = ["EverfitError", "Project", "Workspace", "__version__", "load"]

# Imported when first used, so that `import everfit` and the command line start at once.
_WHERE = {
    "EverfitError": "everfit.errors",
    "Project": "everfit.project.sections.root",
    "Workspace": "everfit.workspace",
    "load": "everfit.workspace",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'everfit' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
