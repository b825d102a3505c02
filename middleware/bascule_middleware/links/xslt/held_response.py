"""A response that is held back until a link knows what becomes of it.

The link says of each head whether to hold the response. One that is not held goes to the server
untouched: the application's own iterable and the server's own `write`, so that streams stay
streams. One that is held is gathered up to a limit; what outgrows it goes on as it would have
without the link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

    from _typeshed import OptExcInfo

Fields = list[tuple[str, str]]
Write = Callable[[bytes], object]


class HeldResponse:
    """One response of an application."""

    def __init__(
        self,
        start_response: StartResponse,
        holds: Callable[[str, Fields], bool],
        passed: Callable[[Fields], Fields],
        limit: int,
    ) -> None:
        """Stand before the server.

        `holds` decides by status and fields; `passed` returns the fields that a response goes on
        with which is not held, or no more; `limit`: bytes of body to hold at most.
        """
        self._start_response = start_response
        self._holds = holds
        self._passed = passed
        self._limit = limit
        self._write: Write | None = None  # the server's, once the head went there
        self._size = 0
        self._blocks: list[bytes] = []
        self.status = ""
        self.fields: Fields = []
        self.is_held = False
        self.outgrew = False  # it was held, and went on because it was too long

    def start_response(
        self, status: str, fields: Fields, exc_info: OptExcInfo | None = None, /
    ) -> Write:
        """Be the application's start_response."""
        if self._write is not None:
            # The server knows best what to say to that.
            return self._start_response(status, self._passed(fields), exc_info)
        if self.status and not exc_info:
            # PEP 3333, "The start_response() Callable": a fatal error.
            raise AssertionError("start_response was called a second time without exc_info")
        # With exc_info, this head replaces the one that is held, and what was written goes with it.
        self.status, self.fields = status, list(fields)
        self._blocks, self._size = [], 0
        self.is_held = self._holds(status, fields)
        if self.is_held:
            return self.write
        self._write = self._start_response(status, self._passed(fields), exc_info)
        return self._write

    def write(self, block: bytes) -> None:
        """Be the application's `write`, of a response that is held or was."""
        if self._write is not None:
            self._write(block)
            return
        if self._outgrows(block):
            for held in self.release():
                self._write(held)  # type: ignore[misc]  # release() got it

    def release(self) -> list[bytes]:
        """Start the response as the application did; return the blocks held so far."""
        self.is_held = False
        self._write = self._start_response(self.status, self._passed(self.fields))
        blocks, self._blocks = self._blocks, []
        return blocks

    def gather(self, iterable: Iterable[bytes]) -> Iterable[bytes] | None:
        """Take what the application returned; return what goes to the server, or None.

        None: the response is held and complete; `body` is its body. The iterable is not closed.
        """
        if self._write is not None:
            return iterable
        iterator = iter(iterable)
        for block in iterator:
            # A generator calls start_response with its first step.
            if self._write is not None:
                return Body(chain([block], iterator), iterable)
            if not self.status:
                return Body(chain([block], iterator), iterable)  # the server will complain
            if self._outgrows(block):
                return Body(chain(self.release(), iterator), iterable)
        return None if self.is_held else Body(iterator, iterable)

    def _outgrows(self, block: bytes) -> bool:
        """Hold one more block. Return whether that is more than should be held."""
        self._blocks.append(block)
        self._size += len(block)
        self.outgrew = self._size > self._limit
        return self.outgrew

    @property
    def body(self) -> bytes:
        """All that is held."""
        return b"".join(self._blocks)


class Body:
    """Blocks in place of an application's iterable, which is closed with them, once."""

    def __init__(self, blocks: Iterable[bytes], replaced: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._replaced: Iterable[bytes] | None = replaced

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        replaced, self._replaced = self._replaced, None
        close_iterable(replaced)


def close_iterable(iterable: object) -> None:
    """Close what an application returned, as the server would (PEP 3333)."""
    close = getattr(iterable, "close", None)
    if close is not None:
        close()
