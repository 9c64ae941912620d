"""What is fetched from other machines is limited in size and time, and never leads to a file or to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from everfit.adapters.addresses import shown
from everfit.adapters.sources.http import HttpLimits, HttpSource
from everfit.errors import SourceError


@dataclass
class Served:
    """A server on the loopback that answers what it is told to."""

    body: bytes = b"id,value\np1,Yes\n"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/csv"})
    slow: Event | None = None
    asked: list[str] = field(default_factory=list)
    authorized: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served() -> Iterator[Served]:
    told = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            told.authorized.append(self.headers.get("Authorization", ""))
            if told.slow is not None:
                told.slow.wait(30)
            self.send_response(302 if self.path == "/moved.csv" else told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    yield told
    if told.slow is not None:
        told.slow.set()
    server.shutdown()
    server.server_close()


def refusal(source: HttpSource) -> SourceError:
    with pytest.raises(SourceError) as told:
        source.read()
    return told.value


def test_an_address_without_an_ending_is_read_by_what_the_server_says(served: Served) -> None:
    assert HttpSource(f"{served.at}/export?table=1").read().rows() == [("p1", "Yes")]


def test_content_of_another_kind_is_refused(served: Served) -> None:
    served.headers = {"Content-Type": "text/html"}
    assert "text/html" in refusal(HttpSource(f"{served.at}/export")).what


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "ftp://example.org/a.csv", "http://example.org/a.csv", "https://", "https://exa mple/a.csv"],
)
def test_what_may_not_be_read_is_refused_before_anything_is_asked(address: str) -> None:
    with pytest.raises(SourceError):
        HttpSource(address)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "http://example.org/a.csv", "ftp://127.0.0.1/a.csv"])
def test_a_redirect_leads_nowhere_that_one_may_not_go(served: Served, to: str) -> None:
    served.headers = {"Location": to}
    refusal(HttpSource(f"{served.at}/moved.csv"))
    assert served.asked == ["/moved.csv"]


def test_a_redirect_on_the_same_machine_is_followed(served: Served) -> None:
    served.headers = {"Location": "/there.csv", "Content-Type": "text/csv"}
    assert HttpSource(f"{served.at}/moved.csv").read().height == 1


def test_more_than_the_limit_is_not_taken(served: Served) -> None:
    served.body = b"id\n" + b"x\n" * 100_000
    assert "larger than 10,000 bytes" in refusal(HttpSource(f"{served.at}/a.csv", HttpLimits(bytes=10_000))).what


def test_a_server_that_is_silent_is_not_waited_for(served: Served) -> None:
    served.slow = Event()
    assert "no answer within 0.2 seconds" in refusal(HttpSource(f"{served.at}/a.csv", HttpLimits(silence=0.2))).what


def test_refusals_name_no_secret(served: Served) -> None:
    served.status = 403
    told = refusal(HttpSource(f"http://me:hidden@127.0.0.1:{served.port}/a.csv?token=hidden"))
    assert "403" in told.what
    assert "hidden" not in str(told)
    assert "hidden" not in repr(HttpSource("https://example.org/a.csv?token=hidden"))


def test_a_password_goes_to_its_own_host_and_to_none_that_it_leads_to(served: Served) -> None:
    served.headers = {"Location": "/there.csv", "Content-Type": "text/csv"}
    HttpSource(f"http://me:s%40y@127.0.0.1:{served.port}/moved.csv").read()
    assert served.authorized == ["Basic bWU6c0B5", ""]


def test_a_certificate_that_cannot_be_verified_is_refused(served: Served) -> None:
    assert "no connection" in refusal(HttpSource(f"https://127.0.0.1:{served.port}/a.csv")).what


def test_what_is_shown_of_an_address_has_no_secret() -> None:
    assert shown("https://u:p@example.org:8443/a.csv?x=1#y") == "https://example.org:8443/a.csv"
