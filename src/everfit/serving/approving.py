"""POST /approve: a person allows a version from afar, and shows who that is by a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from everfit.errors import RequestError
from everfit.project.sections.serving import Limits
from everfit.serving.access import key_of
from everfit.serving.body import check_json, decode_json, read_body

# A version, the reason and the key, to what is said of it; raises what refuses the approval.
Approve = Callable[[int, str, str], Mapping[str, object]]
_LONGEST = 1000


class Approving:
    """The endpoint around what approves."""

    def __init__(self, approve: Approve, limits: Limits) -> None:
        self._approve = approve
        self._limits = limits

    async def approve(self, request: Request) -> JSONResponse:
        """`{"version": 4, "reason": "figures checked"}`, the reason optional, to who has approved it and what it still
        waits for."""
        headers = dict(request.headers.raw)
        key = key_of(headers)
        if key is None:  # also where a server of this machine alone lets everybody in
            raise HTTPException(401, "an approval needs a key", {"www-authenticate": "Bearer"})
        check_json(headers)
        version, reason = _asked(decode_json(await read_body(request.receive, headers, self._limits), self._limits))
        return JSONResponse(await run_in_threadpool(self._approve, version, reason, key.decode("latin-1")))


def _asked(value: object) -> tuple[int, str]:
    """The version and the reason of a request. Raises RequestError for any other."""
    given = value if isinstance(value, dict) else {}
    version, reason = given.get("version"), given.get("reason", "approved")
    known = not given.keys() - {"version", "reason"}
    if known and type(version) is int and version > 0 and isinstance(reason, str) and 0 < len(reason) <= _LONGEST:
        return version, reason
    raise RequestError(
        "is not the approval of a version",
        where="/approve",
        fix=f'send {{"version": 4, "reason": "figures checked"}}, the reason of at most {_LONGEST} characters',
    )
