"""llhttp, the parser of Node.js, by way of httptools and as strict as it is by default."""

from __future__ import annotations

import httptools

from tests.fuzz.reading import Ending, Message, Reading, variables_of


def read(data: bytes) -> Reading:
    """Return what llhttp makes of a stream."""
    callbacks = _Callbacks()
    parser = callbacks.parser
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        # It has called on_message_complete, but has read no body.
        callbacks.messages[-1] = callbacks.messages[-1]._replace(body=None, keep_alive=None)
        return Reading(callbacks.messages, Ending.SWITCHED)
    except httptools.HttpParserError as error:
        if not callbacks.closed:
            return Reading(callbacks.messages, Ending.REFUSED, _message(error))
    if callbacks.closed:
        return Reading(callbacks.messages, Ending.CLOSED)
    return Reading(callbacks.messages, Ending.WAITS if callbacks.begun else Ending.BOUNDARY)


def _message(error: httptools.HttpParserError) -> str:
    """Return llhttp's words, also where a callback's exception came between."""
    return str(error.__context__ or error)


class _Callbacks:
    """Collects what llhttp reports."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.messages: list[Message] = []
        self.begun = False
        self.closed = False
        self._head_read = False

    def on_message_begin(self) -> None:
        self.begun = True
        self._head_read = False
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body = b""

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if not self._head_read:  # else it is a trailer field
            self._fields.append((name, value or b""))

    def on_headers_complete(self) -> None:
        self._head_read = True
        if not self.closed:
            self.messages.append(
                Message(
                    self.parser.get_method().decode("latin-1"),
                    self._target.decode("latin-1"),
                    int(self.parser.get_http_version()[-1]),
                    variables_of(self._fields, self._target),
                )
            )

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        self.begun = False
        if not self.closed:
            keep_alive = self.parser.should_keep_alive()
            self.messages[-1] = self.messages[-1]._replace(body=self._body, keep_alive=keep_alive)
            self.closed = not keep_alive
