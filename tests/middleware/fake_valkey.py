"""A server that speaks as much of Valkey's protocol as the rate limit's client needs.

It runs no script: it answers as it is told to, counts what it is asked, and can keep silent.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from typing import Any

ADMITS = b"*2\r\n:1\r\n:0\r\n"
REFUSES = b"*2\r\n:0\r\n:0\r\n"
IS_FULL = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


class FakeValkey(socketserver.ThreadingTCPServer):
    """Listens on a port of its own, or on that of one that went before."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: bytes | None, port: int = 0) -> None:
        """`answer`: to each run of a script; None: silence."""
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self.runs = 0
        self.is_loaded = False
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for command in self._commands():
            self._answer(command)

    def _commands(self) -> Iterator[list[bytes]]:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size))
                self.rfile.read(2)
            yield words

    def _answer(self, command: list[bytes]) -> None:
        server: Any = self.server
        name = command[0].upper()
        if name == b"EVALSHA" and not server.is_loaded and server.answer:
            answer = b"-NOSCRIPT No matching script.\r\n"
        elif name == b"EVALSHA":
            server.runs += 1
            answer = server.answer or b""
        elif name == b"SCRIPT":
            server.is_loaded = True
            answer = b"$1\r\nx\r\n"
        else:
            answer = b"+OK\r\n"
        self.wfile.write(answer)
