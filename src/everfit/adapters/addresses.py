"""Addresses that may be read from, and how they are asked.

https anywhere, http on the loopback alone; redirects lead to https alone, from the loopback also to the loopback. No
message shows more of an address than host and path, for what comes after `?` may be a secret.
"""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from http.client import HTTPMessage
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from everfit.errors import SourceError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def shown(address: str) -> str:
    """The address without what may be secret in it.

    >>> shown("https://me:pass@example.org/labels.csv?token=1")
    'https://example.org/labels.csv'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def demand_allowed(address: str, before: str | None = None) -> None:
    """Raises SourceError where the address may not be read, or not after `before` sent there."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or not address.isprintable() or " " in address:
        raise SourceError("is no http:// or https:// address", where=_named(address), fix="correct the address")
    local = host in LOOPBACK
    if parts.scheme == "http" and not local:
        fix = "use https: what comes over http may have been changed by anybody on the way"
        raise SourceError("http is read from this machine alone", where=shown(address), fix=fix)
    if before is not None and local and urlsplit(before).hostname not in LOOPBACK:
        fix = "name the address that it should lead to"
        raise SourceError("it leads to an address of this machine, which is not followed", where=shown(before), fix=fix)


def _named(address: str) -> str:
    """The address as `shown`, or a word where it is none."""
    try:
        return shown(address)
    except ValueError:
        return "the address"


def request(address: str) -> urllib.request.Request:
    """With the user and password of the address, if it has any, for its own host alone: no redirect carries them on."""
    parts = urlsplit(address)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    found = urllib.request.Request(plain, headers={"User-Agent": "everfit"})  # noqa: S310  the scheme was checked
    if parts.username is not None:
        said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        found.add_unredirected_header("Authorization", f"Basic {b64encode(said.encode()).decode()}")
    return found


def opener() -> urllib.request.OpenerDirector:
    """Knows http and https and nothing else: no file, no ftp, no data address."""
    found = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        found.add_handler(handler)
    return found


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Only to where one may go by oneself."""
        try:
            demand_allowed(newurl, before=req.full_url)
        except SourceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)
