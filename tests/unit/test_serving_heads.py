"""Known heads: only the very same bytes of a whole request go past the parser."""

from __future__ import annotations

import pytest

from everfit.serving.heads import Heads

HEAD = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 8\r\n\r\n"
HEADERS = {b"host": b"127.0.0.1", b"content-length": b"8"}


@pytest.fixture
def heads() -> Heads:
    made = Heads()
    made.learn(HEAD + b'{"a": 1}', HEADERS, b'{"a": 1}')
    return made


def test_another_body_of_the_same_length_is_taken_from_behind_the_head(heads: Heads) -> None:
    assert heads.split(HEAD + b'{"b": 2}') == (HEADERS, b'{"b": 2}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD[:-2],
        HEAD + b'{"a": ',
        HEAD + b'{"a": 1} ',
        (HEAD + b'{"a": 1}') * 2,
        HEAD.replace(b"host", b"Host") + b'{"a": 1}',
        b"\r\n" + HEAD + b'{"a": 1}',
    ],
)
def test_all_else_is_left_to_the_parser(heads: Heads, data: bytes) -> None:
    assert heads.split(data) is None


@pytest.mark.parametrize(
    ("data", "headers", "body"),
    [
        (HEAD + b'{"a": 1}', {**HEADERS, b"transfer-encoding": b"chunked"}, b'{"a": 1}'),
        (HEAD + b'{"a": 1}', {b"host": b"127.0.0.1"}, b'{"a": 1}'),
        (HEAD + b'{"a": 1}', HEADERS, b'{"a": '),
        (HEAD + b'{"a": 1}' + HEAD, HEADERS, b'{"a": 1}'),
        (b"", HEADERS, b'{"a": 1}'),
        (HEAD.replace(b"host", b"h" * 5000) + b'{"a": 1}', HEADERS, b'{"a": 1}'),
    ],
)
def test_what_is_not_one_whole_request_of_a_stated_length_is_not_learned(
    data: bytes, headers: dict[bytes, bytes], body: bytes
) -> None:
    heads = Heads()
    heads.learn(data, headers, body)
    assert heads.split(data) is None


def test_callers_with_ever_other_heads_do_not_fill_the_memory() -> None:
    heads, most = Heads(), 0
    for number in range(1000):
        data = HEAD.replace(b"host", b"h%d" % number) + b'{"a": 1}'
        heads.learn(data, HEADERS, b'{"a": 1}')
        assert heads.split(data) == (HEADERS, b'{"a": 1}')
        most = max(most, len(heads._known))
    assert most <= 256
