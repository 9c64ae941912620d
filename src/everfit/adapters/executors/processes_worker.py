"""What a worker of the process executor does beside its items. Extra and config are said at the executor."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_WATCH_SECONDS = 1.0


def call(path: tuple[str, ...], function: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    """The function's result for one item, with the caller's `path` to import from."""
    # A worker may be older than the project's folder on the path.
    sys.path.extend(folder for folder in path if folder not in sys.path)
    return function(shared, item)


def watch(parent: int) -> None:
    """Ends this worker soon after its parent was killed; loky alone would wait for the idle time."""

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True, name="watch-parent").start()
