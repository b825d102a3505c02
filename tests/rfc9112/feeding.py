"""One message, cut in many ways, with one outcome.

``read`` feeds pieces to the server's readers as a connection does: the head's reader first, then
the body's, and says what came of it. ``ways`` cuts a message: whole, byte by byte, and in two at
every point. ``outcome_of`` reads it each way, and again with trailing data, and insists that they
agree.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bascule.config import Config
from bascule.errors import ProtocolError
from bascule.http.body import Body
from bascule.http.field_line import HeadLimits
from bascule.http.head import HeadParser, HeadReader
from bascule.http.request import Environ, Request

_DEFAULTS = Config()
LIMITS = HeadLimits(
    line=_DEFAULTS.limit_request_line,
    fields=_DEFAULTS.limit_request_fields,
    field=_DEFAULTS.limit_request_field_size,
)

# One for all messages of a test, as a server has one for all connections: what it remembers of
# them is tested along.
_parser = functools.cache(HeadParser)

# What a client might send after a message: the beginning of another one.
TRAILING = b"GET /trailing HTTP/1.1\r\nHost: t"

# A longer message is not cut at every point, but at both ends, around the middle, and at steps.
_EVERY_POINT = 700
_STEP = 997


@dataclass(frozen=True)
class Outcome:
    """What became of a message.

    Attributes:
        status: the status that refuses it; None where it is not refused.
        request: its head, once complete.
        environ: what the application would be called with, but for the body.
        body: its bytes, decoded; None while it is not complete.
        rest: bytes that follow the message.
    """

    status: int | None = None
    request: Request | None = None
    environ: Environ = field(default_factory=dict)
    body: bytes | None = None
    rest: bytes = b""

    @property
    def complete(self) -> bool:
        return self.body is not None


def fields_of(environ: Environ) -> dict[str, str]:
    """Return the variables that are a request's fields (RFC 3875 §4.1)."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }


def read(
    pieces: Iterable[bytes],
    limits: HeadLimits = LIMITS,
    body_limit: int = _DEFAULTS.limit_request_body,
    shared: dict[str, Any] | None = None,
) -> Outcome:
    """Return what the server makes of one message, given in pieces."""
    reader = HeadReader(_parser(limits), shared or {})
    request: Request | None = None
    environ: Environ = {}
    body: Body | None = None
    rest: bytes | None = None
    try:
        for piece in pieces:
            if rest is not None:
                rest += piece
            elif body is not None:
                rest = body.feed(piece)
            elif (found := reader.feed(piece)) is not None:
                request, environ = found
                if request.chunked or request.content_length:
                    body = Body(request, body_limit, limits)
                    rest = body.feed(reader.rest)
                else:
                    rest = reader.rest
        return _outcome(Outcome(request=request, environ=environ), body, rest)
    except ProtocolError as error:
        return Outcome(status=error.status)
    finally:
        if body is not None:
            body.close()


def _outcome(head: Outcome, body: Body | None, rest: bytes | None) -> Outcome:
    if rest is None:
        return head
    if body is None:
        return replace(head, body=b"", rest=rest)
    body.file.seek(0)
    content = body.file.read()
    assert len(content) == body.length
    return replace(head, body=content, rest=rest)


def ways(message: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each way to cut a message: what it is called, and the pieces."""
    yield "whole", [message]
    yield "byte by byte", [message[at : at + 1] for at in range(len(message))]
    for at in split_points(len(message)):
        yield f"split at {at}", [message[:at], message[at:]]


def split_points(size: int) -> list[int]:
    """Return where to cut a message of this size in two: everywhere, unless it is long."""
    if size <= _EVERY_POINT:
        return list(range(1, size))
    near = range(1, 60)
    points = {*near, *(size - each for each in near), *range(60, size, _STEP)}
    return sorted(points)


def outcome_of(
    message: bytes,
    limits: HeadLimits = LIMITS,
    body_limit: int = _DEFAULTS.limit_request_body,
) -> Outcome:
    """Return the one outcome that a message has, however it is cut, trailing data or not."""
    expected = read([message], limits, body_limit)
    for name, pieces in ways(message):
        outcome = read(pieces, limits, body_limit)
        assert outcome == expected, f"{name}: {outcome}, but whole: {expected}"
    if expected.complete:
        followed = replace(expected, rest=expected.rest + TRAILING)
    elif expected.status is not None:
        followed = expected
    else:  # it waits for more, so trailing data would be part of it
        return expected
    for name, pieces in ways(message + TRAILING):
        outcome = read(pieces, limits, body_limit)
        assert outcome == followed, f"with trailing data, {name}: {outcome}, expected {followed}"
    return expected
