"""Octets of an HTTP/1.1 response to status, headers and body, however they are cut."""

import pytest

from muslin.kubernetes.responses import Malformed, ResponseReader

_LENGTH = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nWarning: a\r\nWARNING: b\r\n\r\n"
    b"3\r\nhel\r\n2;extension=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)
_EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
_AFTER_CONTINUE = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + _LENGTH
_TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


def _read(*parts: bytes, end: bool = False) -> ResponseReader:
    reader = ResponseReader()
    for part in parts:
        reader.feed(part)
    if end:
        reader.end()
    return reader


@pytest.mark.parametrize(
    ("octets", "status", "body", "reusable"),
    [
        (_LENGTH, 201, b"hello", True),
        (_CHUNKED, 200, b"hello", True),
        (_EMPTY, 204, b"", True),
        (_AFTER_CONTINUE, 201, b"hello", True),
        (_TO_THE_END, 200, b"hello", False),
        (_LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"), 201, b"hello", False),
        (_LENGTH.replace(b"1.1", b"1.0"), 201, b"hello", False),
    ],
)
def test_a_response_is_the_same_however_it_is_cut(octets: bytes, status: int, body: bytes, *, reusable: bool) -> None:
    """At once, cut in two at each place, and octet by octet."""
    cuts = [[octets], [octets[n : n + 1] for n in range(len(octets))]]
    cuts += [[octets[:n], octets[n:]] for n in range(1, len(octets))]

    for parts in cuts:
        reader = _read(*parts, end=octets is _TO_THE_END)

        assert (reader.done, reader.status, b"".join(reader.pieces)) == (True, status, body)
        assert reader.reusable is reusable


def test_headers_are_found_in_small_letters_and_joined() -> None:
    """Of two headers with one name both values are kept."""
    assert _read(_CHUNKED).headers == {"transfer-encoding": "chunked", "warning": "a, b"}


@pytest.mark.parametrize(
    "octets",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : spaced\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000,
        _LENGTH + b"more",
        _EMPTY + b"more",
        _CHUNKED + b"more",
    ],
)
def test_what_is_no_response_is_refused(octets: bytes) -> None:
    """Nothing is guessed: two readers that guess differently are a way to smuggle an answer in."""
    with pytest.raises(Malformed):
        _read(octets)


@pytest.mark.parametrize("octets", [b"", _LENGTH[:-1], _CHUNKED[:-2], _CHUNKED[:80], b"HTTP/1.1 200 OK\r\n"])
def test_an_end_within_a_response_is_told(octets: bytes) -> None:
    """A response that was cut off never counts as a shorter one."""
    with pytest.raises(Malformed):
        _read(octets, end=True)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello world",
    ],
)
def test_a_body_that_is_too_long_is_refused_before_it_is_kept(octets: bytes) -> None:
    """Whichever way its length is told; the same limit lets one through that just fits."""
    with pytest.raises(Malformed, match="far too large"):
        ResponseReader(10).feed(octets)

    ResponseReader(11).feed(octets)
