"""The test's side of `tests.applications.gate`: knows who waits, lets them go on."""

from __future__ import annotations

import socket
from pathlib import Path

DEADLINE = 20.0  # seconds


class Visit:
    """One request that waits inside the application."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(DEADLINE)
        with connection.makefile("rb") as lines:
            self.name = lines.readline().decode("latin-1").rstrip("\n")

    def release(self, answer: bytes = b"") -> None:
        """Let it go on; `answer` becomes part of its body."""
        self._connection.sendall(answer)
        self._connection.close()

    def drop(self) -> None:
        """Close without an answer, if that has not happened yet."""
        self._connection.close()

    def hung_up(self) -> bool:
        """Whether the application's process is gone (waits for it)."""
        return self._connection.recv(1) == b""


class Gate:
    """A listening socket that the application connects to."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "gate")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._listener.settimeout(DEADLINE)
        self._visits: list[Visit] = []

    @property
    def env(self) -> dict[str, str]:
        """What the server's environment needs."""
        return {"GATE": self.path}

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for visit in self._visits:
            visit.drop()

    def visit(self) -> Visit:
        """Wait for the next request that arrives inside the application."""
        connection, _ = self._listener.accept()
        visit = Visit(connection)
        self._visits.append(visit)
        return visit

    def nobody_else(self) -> bool:
        """Whether no further request waits at this moment."""
        self._listener.setblocking(False)
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self._listener.settimeout(DEADLINE)
        return False
