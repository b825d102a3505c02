"""An upstream server that answers as a test says, also as no real server would."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.harness.ports import listen

DEADLINE = 20.0  # seconds

# What to do with a request: send these bytes and wait for the next, or whatever a function does
# with the connection, which is closed after it.
Answer = bytes | Callable[[socket.socket], object]

HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def hang_up(_connection: socket.socket) -> None:
    """Close the connection instead of answering."""


class Upstream:
    """Listens on a port of its own, or at a unix socket, while the `with` block runs.

    Each request gets the next of the answers; the last one serves all that follow.

    Attributes:
        requests: what came, head and body, byte for byte.
        connections: how many were accepted.
    """

    def __init__(self, *answers: Answer, path: Path | None = None) -> None:
        self._answers = list(answers or [HELLO])
        self.requests: list[bytes] = []
        self.connections = 0
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.name = f"unix:{path}"
        else:
            self._listener = listen()
            self.name = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Upstream:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(DEADLINE)
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while request := read_request(file):
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if not isinstance(answer, bytes):
                    answer(connection)
                    file.close()
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(answer)


def read_request(file) -> bytes:
    """Return the bytes of one request, as its own framing says; none at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            return b""
        head += line
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked\r\n" in fields:
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += file.readline()
        return head + body
    if b"\r\ncontent-length: " in fields:
        length = int(fields.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
        return head + file.read(length)
    return head
