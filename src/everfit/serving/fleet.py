"""Several models behind one address, each an application of its own: keys, limits, log and metrics stay apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from everfit.errors import ProjectError
from everfit.serving.front import problem

_OWN = re.compile(r"/models/(?P<name>[^/]+)(?P<rest>/.*)")
_INFERENCE = re.compile(r"/v2/models/(?P<name>[^/]+)(/.*)?")
_ALIVE = frozenset({"/health", "/v2", "/v2/health/live"})
_READY = frozenset({"/ready", "/ping", "/v2/health/ready"})


class Fleet:
    """ASGI application over those of several models, by name. `/models/NAME/predict` is NAME's `/predict`, and so with
    every other route; the inference protocol has the model in its paths already. The server is alive when it answers,
    and ready once `ready` says that every model is."""

    def __init__(self, apps: Mapping[str, ASGIApp], ready: Callable[[], bool]) -> None:
        self._apps = apps
        self._first = next(iter(apps.values()))
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["path"] in _ALIVE:
            await self._first(scope, receive, send)
            return
        path: str = scope["path"]
        if path in _READY:
            waiting = problem(503, "a model is not released yet", "run `everfit release` for each", path)
            await (self._first if self._ready() else waiting)(scope, receive, send)
            return
        own = _OWN.fullmatch(path)
        match = own or _INFERENCE.fullmatch(path)
        app = self._apps.get(match["name"]) if match else None
        if app is None:
            name = "a model's name is missing from the path" if match is None else "there is no such model here"
            await problem(404, name, "ask /models/NAME/predict, NAME being a project's", path)(scope, receive, send)
            return
        if own is not None:
            scope = {**scope, "path": own["rest"], "raw_path": own["rest"].encode()}
        await app(scope, receive, send)


def check_names(names: list[str]) -> None:
    """Raises ProjectError where two projects have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProjectError(
            f"two projects are named {twice[0]!r}, so that no path tells them apart",
            where="project",
            fix="give one of them another name, or a server of its own",
        )
