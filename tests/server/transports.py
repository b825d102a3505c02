"""A transport that keeps what it is given, and can lose its client."""

from __future__ import annotations

import os

from bascule.errors import ClientDisconnected
from bascule.wsgi.file_wrapper import FileRange


class FakeTransport:
    """Takes a response's bytes.

    Args:
        persist: another request may follow.
        breaks_at: how many times bytes are taken before ``error`` is raised instead.
        error: what is raised then.

    Attributes:
        persists: another request may follow.
        sent: the bytes, as they were handed over; those of files are read.
        finished: how many responses were ended.
        files: the ranges of files among them.
    """

    def __init__(
        self,
        *,
        persist: bool = True,
        breaks_at: int | None = None,
        error: type[Exception] = ClientDisconnected,
    ) -> None:
        self.persists = persist
        self._breaks_at = breaks_at
        self._error = error
        self.sent: list[bytes] = []
        self.finished = 0
        self.files: list[FileRange] = []

    @property
    def data(self) -> bytes:
        return b"".join(self.sent)

    def send(self, data: bytes) -> None:
        if self._breaks_at is not None and len(self.sent) >= self._breaks_at:
            raise self._error("told to")
        assert isinstance(data, bytes)
        self.sent.append(data)

    def finish(self, data: bytes, more: bytes | FileRange | None) -> None:
        self.send(data)
        self.finished += 1
        if isinstance(more, bytes):
            self.sent.append(more)
        elif more is not None:
            self.files.append(more)
            self.sent.append(os.pread(more.descriptor, more.count, more.offset))
