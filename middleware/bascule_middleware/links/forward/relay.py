"""The two bodies of a forwarded request, as streams: never more than a block of each in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bascule_middleware.links.forward.retry import UpstreamError

if TYPE_CHECKING:
    from wsgiref.types import InputStream

    from bascule_middleware.links.forward.upstreams import Response

BLOCK = 64 * 1024  # bytes of a request's body that are in memory at a time


class RequestBodyError(Exception):
    """The request's body could not be read to its end; no fault of any upstream's."""


def request_blocks(source: InputStream, length: int | None) -> Iterator[bytes]:
    """Give a request's body in blocks; of `length` bytes, or None for up to its end.

    Raises RequestBodyError.
    """
    while length != 0:
        try:
            block = source.read(BLOCK if length is None else min(BLOCK, length))
        except Exception as error:  # as OSError, it would pass for the upstream's
            raise RequestBodyError(str(error)) from error
        if not block:
            if length is None:
                return
            raise RequestBodyError(f"{length} bytes are missing")
        if length is not None:
            length -= len(block)
        yield block


class RelayedBody:
    """An upstream's body on its way to the client.

    Args:
        response: of the upstream.
        on_failure: is told when the body breaks off.
        on_close: is called once, when the exchange is over, however it ended.
    """

    def __init__(
        self,
        response: Response,
        on_failure: Callable[[UpstreamError], object],
        on_close: Callable[[], object],
    ) -> None:
        self._response = response
        self._block = response.first
        self._on_failure = on_failure
        self._on_close: Callable[[], object] | None = on_close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block, self._block = self._block, b""
        if not block:
            try:
                block = self._response.read()
            except UpstreamError as error:
                # The head is out: raising makes the server cut the connection, which is how the
                # client learns that the response is not whole (RFC 9112 §8).
                self._on_failure(error)
                raise
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        """End the exchange: an upstream that is still sending loses its connection."""
        on_close, self._on_close = self._on_close, None
        if on_close:
            try:
                self._response.close()
            finally:
                on_close()
