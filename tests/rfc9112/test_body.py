"""Bodies: framed, limited, and kept where they cost no memory."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import pytest
from bascule.errors import ProtocolError
from bascule.http.body import MAX_CHUNK_LINE, SPOOL_SIZE, Body, ChunkedFraming, LengthFraming
from bascule.http.field_line import HeadLimits
from bascule.http.request import Request

from tests.rfc9112.feeding import LIMITS, outcome_of

SMALL = HeadLimits(line=100, fields=2, field=100)


def a_request(length: int | None = None, *, chunked: bool = False) -> Request:
    request = Request("POST", "/", "/", "", 1)
    request.content_length = length
    request.chunked = chunked
    return request


def encoded(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (*chunks, b""))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_a_body_of_known_length_ends_after_that_many_bytes(size: int) -> None:
    taken: list[bytes] = []
    framing = LengthFraming(5, taken.append)
    rest = b""
    done = False
    for piece in pieces(b"helloREST", size):
        if done:
            rest += piece
            continue
        after = framing.feed(piece)
        if after is not None:
            done, rest = True, after
    assert b"".join(taken) == b"hello"
    assert rest == b"REST"


@pytest.mark.parametrize("length", [0, None])
def test_a_body_of_no_bytes_ends_at_once(length: int | None) -> None:
    body = Body(a_request(length), 0, LIMITS)
    assert body.feed(b"REST") == b"REST"
    assert body.length == 0
    body.close()


@pytest.mark.parametrize(
    ("size", "is_right"), [(MAX_CHUNK_LINE, True), (MAX_CHUNK_LINE + 1, False)]
)
def test_a_chunk_s_size_and_extension_may_be_so_long_and_no_longer(
    size: int, is_right: bool
) -> None:
    line = b"3;e=" + b"x" * (size - 4)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = outcome_of(head + line + b"\r\nabc\r\n0\r\n\r\n")
    assert (outcome.status, outcome.body) == ((None, b"abc") if is_right else (400, None))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1000])
def test_a_chunked_body_is_decoded_whatever_the_size_of_the_pieces(size: int) -> None:
    taken: list[bytes] = []
    framing = ChunkedFraming(0, LIMITS, taken.append)
    chunks = [b"a", b"bc" * 40, b"\r\n0\r\n\r\n", b"d" * 300]
    after: bytes | None = None
    for piece in pieces(encoded(*chunks), size):
        assert after is None
        after = framing.feed(piece)
    assert after == b""
    assert b"".join(taken) == b"".join(chunks)


def test_data_is_handed_on_as_it_comes_and_not_at_the_end_of_its_chunk() -> None:
    taken: list[bytes] = []
    framing = ChunkedFraming(0, LIMITS, taken.append)
    framing.feed(b"ffff\r\nabc")
    framing.feed(b"def")
    assert b"".join(taken) == b"abcdef"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (encoded(b"a" * 10), None),
        (encoded(b"a" * 11), 413),
        (encoded(b"a" * 5, b"b" * 5), None),
        (encoded(b"a" * 5, b"b" * 6), 413),
        (b"b\r\n", 413),
    ],
)
def test_the_limit_counts_the_decoded_bytes_of_all_chunks(body: bytes, status: int | None) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert outcome_of(head + body, body_limit=10).status == status


@pytest.mark.parametrize(("length", "status"), [(10, None), (11, 413)])
def test_a_body_that_announces_too_much_is_refused_before_it_comes(
    length: int, status: int | None
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    assert outcome_of(head, body_limit=10).status == status


def test_a_limit_of_zero_is_none() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    assert outcome_of(head + b"Content-Length: 3\r\n\r\nabc", body_limit=0).body == b"abc"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + encoded(b"abc")
    assert outcome_of(chunked, body_limit=0).body == b"abc"
    assert not outcome_of(head + b"Content-Length: %d\r\n\r\n" % 10**15, body_limit=0).status


@pytest.mark.parametrize(
    ("section", "status"),
    [
        (b"X: " + b"b" * 95 + b"\r\n\r\n", None),
        (b"X: " + b"b" * 96 + b"\r\n\r\n", 431),
        (b"X: a\r\nY: b\r\n\r\n", None),
        (b"X: a\r\nY: b\r\nZ: c\r\n\r\n", 431),
    ],
)
def test_a_trailer_is_held_to_the_limits_of_a_head(section: bytes, status: int | None) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    assert outcome_of(head + section, SMALL).status == status


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"1;" + b"e" * 5000, 400),
        (b"1\r\nab", 400),
        (b"0\r\nX: " + b"b" * 200, 431),
    ],
)
def test_a_line_that_can_no_longer_become_right_is_refused_before_it_ends(
    begun: bytes, status: int
) -> None:
    with pytest.raises(ProtocolError) as caught:
        ChunkedFraming(0, SMALL, lambda _data: None).feed(begun)
    assert caught.value.status == status


@pytest.mark.parametrize("size", [1024, SPOOL_SIZE, SPOOL_SIZE + 1, 3 * SPOOL_SIZE])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_any_size_reads_back_as_it_came(size: int, chunked: bool) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    body = Body(a_request(None if chunked else size, chunked=chunked), 0, LIMITS)
    wire = encoded(*pieces(content, 5000)) if chunked else content
    after: bytes | None = None
    for piece in pieces(wire + b"REST", 65536):
        after = body.feed(piece) if after is None else after + piece

    assert after == b"REST"
    assert body.length == size
    body.file.seek(0)
    assert body.file.read() == content
    body.close()


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the place for temporary files away."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("full_disk")
def test_a_small_body_needs_no_disk() -> None:
    body = Body(a_request(SPOOL_SIZE), 0, LIMITS)
    assert body.feed(b"x" * SPOOL_SIZE) == b""
    body.close()


@pytest.mark.usefixtures("full_disk")
def test_a_body_that_the_disk_cannot_take_is_answered_with_503() -> None:
    body = Body(a_request(SPOOL_SIZE + 1), 0, LIMITS)
    with pytest.raises(ProtocolError) as refusal:
        body.feed(b"x" * (SPOOL_SIZE + 1))
    assert refusal.value.status == 503
    assert isinstance(refusal.value.__cause__, OSError)
    body.close()


def test_a_body_whose_last_bytes_the_disk_cannot_take_is_answered_with_503() -> None:
    """They are written once they are all here."""
    body = Body(a_request(SPOOL_SIZE + 2), 0, LIMITS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_SIZE + 1, before[1]))
    try:
        assert body.feed(b"x" * (SPOOL_SIZE + 1)) is None
        with pytest.raises(ProtocolError) as refusal:
            body.feed(b"x")
        body.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refusal.value.status == 503
    assert isinstance(refusal.value.__cause__, OSError)


def test_closing_twice_is_harmless() -> None:
    body = Body(a_request(3), 0, LIMITS)
    body.feed(b"abc")
    body.close()
    body.close()


@pytest.mark.parametrize(
    "wrong",
    [b"5 \n", b"5;" + b"a" * 300, b"x", b"1\r\nabc", b"1\r\na\n", b"0\r\nX-A\n: b", b"0\r\nX-A"],
)
def test_the_reason_of_a_refusal_does_not_depend_on_how_chunks_are_cut(wrong: bytes) -> None:
    message = wrong + b"\r\n\r\n"

    def refusal(size: int) -> str:
        framing = ChunkedFraming(0, LIMITS, lambda _: None)
        try:
            for piece in pieces(message, size):
                framing.feed(piece)
        except ProtocolError as error:
            return f"{error.status} {error.message}"
        return "none"

    reasons = {refusal(size) for size in range(1, len(message) + 1)}
    assert len(reasons) == 1
    assert "none" not in reasons
