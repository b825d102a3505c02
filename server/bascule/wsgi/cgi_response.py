"""One CGI response (RFC 3875 §6): ``Status``, the application's fields, and the body as it comes.

The host frames the body for its client, and adds ``Date`` and ``Server``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from bascule.errors import ApplicationError, ClientDisconnected
from bascule.http.response import ANNOUNCED, BODILESS, STATUS, Head, check_head

if TYPE_CHECKING:
    from _typeshed import OptExcInfo


class Output(Protocol):
    """Where the bytes go: an unbuffered, blocking binary stream."""

    def write(self, data: memoryview, /) -> int:
        """Write bytes, maybe not all; return how many."""


class Response:
    """From ``start_response`` to the last byte.

    Args:
        method: of the request.
        output: takes the bytes.

    Attributes:
        begun: the head has been sent.
    """

    def __init__(self, method: str, output: Output) -> None:
        self._method = method
        self._output = output
        self._head: Head | None = None
        self._remaining: int | None = None  # bytes that the announced length still wants
        self.begun = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """PEP 3333's ``start_response``; returns its ``write``."""
        if exc_info is not None:
            try:
                if self.begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the cycle through the traceback (PEP 3333)
        elif self._head is not None:
            raise ApplicationError("start_response was called twice without exc_info")
        self._head = check_head(status, headers)
        return self.write

    def send(self, iterable: Iterable[bytes]) -> None:
        """Send what the application returned, each chunk on its own, and end the response."""
        if isinstance(iterable, list | tuple) and not self.begun:
            self._open(sum(len(_checked(data)) for data in iterable))
        for data in iterable:
            self.write(data)
            if self.begun and self._bodiless:
                return  # the rest has no reader
        if not self.begun:
            self._open(0)
        if self._remaining and not self._bodiless:
            raise ApplicationError(
                f"the body is {self._remaining} bytes shorter than its Content-Length"
            )

    def write(self, data: bytes) -> None:
        """Send one chunk, the head before the first that is not empty."""
        if not _checked(data):
            return
        if not self.begun:
            self._open(None)
        if self._bodiless:
            return
        if self._remaining is None:
            self._write_all(data)
            return
        fitting = data[: self._remaining]
        self._remaining -= len(fitting)
        self._write_all(fitting)
        if len(fitting) < len(data):
            raise ApplicationError("the body is longer than its Content-Length")

    def replace(self, status: str, message: str) -> None:
        """Send a response of our own, if the application's has not begun."""
        if not self.begun:
            self._head = check_head(status, [("Content-Type", "text/plain; charset=utf-8")])
            self.send([f"{status}: {message}\n".encode()])

    @property
    def _bodiless(self) -> bool:
        return self._method == "HEAD" or (self._head is not None and self._head[STATUS] in BODILESS)

    def _open(self, length: int | None) -> None:
        """Send the head; ``length`` is the body's in bytes, where that is known by now."""
        head = self._head
        if head is None:
            raise ApplicationError("start_response was not called before the body began")
        status, status_line, fields, announced = head
        if self._bodiless:
            # The body that HEAD leaves out tells its length, unless the application left it out.
            # That of 204 has none to tell (RFC 9110 §8.6).
            if announced is None and status not in BODILESS:
                announced = length or None
        elif announced is None:
            announced = length
        elif length is not None and length != announced:
            raise ApplicationError(
                f"Content-Length is {announced}, and the body has {length} bytes"
            )
        # The status line without the version: a code, a space and a phrase (RFC 3875 §6.3.3).
        parts = [b"Status:", status_line.removeprefix(b"HTTP/1.1"), fields]
        if announced is not None and head[ANNOUNCED] is None:
            parts.append(b"Content-Length: %d\r\n" % announced)
        self._remaining = announced
        self.begun = True
        self._write_all(b"".join([*parts, b"\r\n"]))

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._output.write(view) :]
            except BrokenPipeError as error:
                raise ClientDisconnected("the CGI host takes no more of the response") from error


def _checked(data: bytes) -> bytes:
    if not isinstance(data, bytes):
        raise ApplicationError(f"a body's chunks must be bytes, not {type(data).__name__}")
    return data
