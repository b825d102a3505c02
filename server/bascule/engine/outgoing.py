"""Bytes, and perhaps a file after them, on their way to one client; nothing here waits."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import termios
from typing import Final, NoReturn

from bascule.errors import ClientDisconnected
from bascule.wsgi.file_wrapper import FileRange

# Bytes of a file a turn of the loop, so that one fast client does not hold it.
SENDFILE_SIZE: Final = 1024 * 1024

_NOTHING: Final = memoryview(b"")


class Outgoing:
    """What one client has yet to take.

    Args:
        sock: connected, non-blocking.

    Attributes:
        pending: something is left to be taken.
        sent: bytes that the client's side of the connection has taken so far.
        lost: the client went away, or the file became shorter than it was.
        missing: bytes that the file has no more.
    """

    __slots__ = ("_data", "_file", "_sock", "lost", "missing", "pending", "sent")

    def __init__(self, sock: socket.SocketType) -> None:
        self._sock = sock
        self._data = _NOTHING
        self._file: FileRange | None = None
        self.pending = False
        self.sent = 0
        self.lost = False
        self.missing = 0

    def put(self, data: bytes, more: bytes | FileRange | None = None) -> None:
        """Send what the client takes now, and keep the rest; to be called when nothing is left.

        Args:
            data: bytes.
            more: what follows them; a file's descriptor may be closed as soon as this returns.

        Raises:
            ClientDisconnected: the client is lost.
        """
        if more is None:
            try:
                taken = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                taken = 0
            except OSError as error:
                self._lose(error)
            self.sent += taken
            if taken != len(data):
                self._data = memoryview(data)[taken:]
                self.pending = True
        elif isinstance(more, bytes):
            self._put_both(data, more)
        else:
            self._data = memoryview(data)
            self._file = FileRange(os.dup(more.descriptor), more.offset, more.count)
            self.pending = True
            self.flush()

    def _put_both(self, data: bytes, more: bytes) -> None:
        """Send two blocks at once, the second of which is too large to be worth a copy."""
        try:
            taken = self._sock.sendmsg((data, more))
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError as error:
            self._lose(error)
        self.sent += taken
        if taken < len(data):  # rare: the client had not even taken what came before
            self._data = memoryview(data + more)[taken:]
        else:
            self._data = memoryview(more)[taken - len(data) :]
        self.pending = bool(self._data)

    def flush(self) -> None:
        """Send more of what is left.

        Raises:
            ClientDisconnected: the client is lost.
        """
        try:
            if self._data:
                if self._file and self._file.count > SENDFILE_SIZE:
                    self._set_cork(1)
                # The head of a file's response waits for the first bytes of the file.
                flags = socket.MSG_MORE if self._file else 0
                taken = self._sock.send(self._data, flags)
                self.sent += taken
                self._data = self._data[taken:]
            if self._file and not self._data:
                self._send_file(self._file)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
        self.pending = bool(self._data) or self._file is not None

    def _lose(self, error: OSError) -> NoReturn:
        self.lost = True
        raise ClientDisconnected from error

    def _send_file(self, file: FileRange) -> None:
        taken = os.sendfile(
            self._sock.fileno(), file.descriptor, file.offset, min(file.count, SENDFILE_SIZE)
        )
        if taken == 0:
            self.missing = file.count
            raise ClientDisconnected("the file has become shorter than it was")
        self.sent += taken
        left = FileRange(file.descriptor, file.offset + taken, file.count - taken)
        if left.count:
            self._file = left
        else:
            self._drop_file()
            if self.sent > SENDFILE_SIZE:
                self._set_cork(0)

    def _set_cork(self, value: int) -> None:
        """Have TCP wait for full segments, or not (tcp(7)).

        The pieces in which the kernel sends a file would each end in a small one, which makes a
        large file a quarter dearer to send.
        """
        if self._sock.family != socket.AF_UNIX:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)

    def untaken(self) -> int:
        """Return how many bytes the kernel holds that the client has yet to take.

        They tell whether it reads at all: the socket becomes writable no sooner than when a third
        of its buffer is free, which a slow client may need minutes for.
        """
        held = bytearray(4)
        fcntl.ioctl(self._sock, termios.TIOCOUTQ, held)
        return int.from_bytes(held, sys.byteorder)

    def drop(self) -> None:
        """Forget what is left."""
        self.pending = False
        self._data = _NOTHING
        self._drop_file()

    def detach(self) -> socket.socket:
        """Take the socket away; whatever is said after this, by any thread, raises.

        What a thread is saying at this moment it may still say: see ``SENDING``.
        """
        sock = socket.socket(fileno=self._sock.detach())
        sock.setblocking(False)
        return sock

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file.descriptor)
            self._file = None


# Where a thread is while its bytes may be on their way and not be counted in ``sent`` yet.
SENDING: Final = frozenset(
    function.__code__
    for function in (Outgoing.put, Outgoing._put_both, Outgoing.flush, Outgoing._send_file)
)
