"""Heads of requests that came before: the same bytes are the same request line and headers, so they are parsed once.

A client that keeps its connection sends the same head with every request of the same length. Parsing it again, a
callback for each header, takes longer than a prediction.
"""

from __future__ import annotations

from everfit.serving.body import Headers

_MOST, _LONGEST = 256, 4096
_END = b"\r\n\r\n"


class Heads:
    """What the parser made of them, byte for byte. Whether their sender is let in is asked anew for each request.

    >>> heads = Heads()
    >>> request = b"POST /predict HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
    >>> heads.split(request)
    >>> heads.learn(request, {b"content-length": b"2"}, b"{}")
    >>> heads.split(request), heads.split(request + b"more")
    (({b'content-length': b'2'}, b'{}'), None)
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Headers, int]] = {}

    def split(self, data: bytes) -> tuple[Headers, bytes] | None:
        """The headers and the body of data that is one whole request with a known head; None for all else."""
        end = data.find(_END) + len(_END)
        found = self._known.get(data[:end])
        if found is None or len(data) - end != found[1]:
            return None
        return found[0], data[end:]

    def learn(self, data: bytes, headers: Headers, body: bytes) -> None:
        """Remembers the head of data that the parser found to be one request with these headers and this body, where
        the length stands in the head. Not more than 256, of at most 4 KiB each: they come from callers."""
        end = data.find(_END) + len(_END)
        counted = headers.get(b"content-length") == b"%d" % len(body) and b"transfer-encoding" not in headers
        if end + len(body) != len(data) or not counted or end > _LONGEST:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[data[:end]] = headers, len(body)
