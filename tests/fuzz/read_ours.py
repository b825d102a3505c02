"""The server's own readers, used as ``bascule.engine.connection`` uses them."""

from __future__ import annotations

from collections.abc import Iterable

from bascule.config import Config
from bascule.errors import ProtocolError
from bascule.http.body import Body
from bascule.http.field_line import HeadLimits
from bascule.http.head import HeadParser, HeadReader
from bascule.http.request import Environ, Request

from tests.fuzz.reading import Ending, Message, Reading
from tests.rfc9112.feeding import fields_of

_DEFAULTS = Config()
LIMITS = HeadLimits(
    line=_DEFAULTS.limit_request_line,
    fields=_DEFAULTS.limit_request_fields,
    field=_DEFAULTS.limit_request_field_size,
)

# One for all streams, as a server has one for all connections: what it remembers of a stream must
# change nothing about the next.
_PARSER = HeadParser(LIMITS)

# Every status that refuses bytes, as docs/http.md has them.
REFUSALS = frozenset({400, 411, 413, 414, 417, 431, 501, 505})


def read(pieces: Iterable[bytes]) -> Reading:
    """Return what the server makes of a stream that comes in these pieces.

    Raises nothing of the server's but what is a bug: a ``ProtocolError`` is part of the reading.
    """
    stream = _Stream()
    try:
        for piece in pieces:
            if stream.feed(piece):
                return Reading(stream.messages, Ending.CLOSED)
    except ProtocolError as error:
        return Reading(stream.messages, Ending.REFUSED, error.message, error.status)
    finally:
        stream.close()
    return Reading(stream.messages, Ending.BOUNDARY if stream.idle else Ending.WAITS)


class _Stream:
    """A connection's reading half."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._reader = HeadReader(_PARSER, {})
        self._request: Request | None = None
        self._body: Body | None = None

    @property
    def idle(self) -> bool:
        return self._body is None and not self._reader.rest

    def feed(self, data: bytes) -> bool:
        """Take bytes; return whether a request has ended that lets the connection close."""
        while True:
            if self._body is None:
                found = self._reader.feed(data)
                if found is None:
                    return False
                self._begin(*found)
                data, self._reader.rest = self._reader.rest, b""
            if self._body is not None:
                rest = self._body.feed(data)
                if rest is None:
                    return False
                self._complete(self._body)
                data = rest
            if not self.messages[-1].keep_alive:
                return True
            if not data:
                return False

    def _begin(self, request: Request, environ: Environ) -> None:
        message = Message(request.method, request.target, request.minor, fields_of(environ))
        self.messages.append(message)
        if request.chunked or request.content_length:
            self._request = request
            self._body = Body(request, _DEFAULTS.limit_request_body, LIMITS)
        else:
            self.messages[-1] = message._replace(body=b"", keep_alive=request.keep_alive)

    def _complete(self, body: Body) -> None:
        assert self._request is not None
        body.file.seek(0)
        content = body.file.read()
        assert len(content) == body.length, "the body's length is not what was kept of it"
        keep_alive = self._request.keep_alive
        self.messages[-1] = self.messages[-1]._replace(body=content, keep_alive=keep_alive)
        self.close()

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
