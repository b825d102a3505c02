"""A unix socket that tells whoever connects how the process is, and closes.

A thread of its own answers, so that it can be asked what a process is doing whose every thread
hangs. It waits for nothing that another thread may hold, and never logs: a log that blocks may be
what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from bascule.engine.listen import Listener, open_listener
from bascule.errors import StartError
from bascule.guard import Place

# The answer tells what clients sent and where the code is: for the owner and nobody else.
MODE: Final = 0o600
BACKLOG: Final = 16
# How long a client may take to read its answer (seconds), in which no other gets one.
SEND_TIMEOUT: Final = 0.3
# How often ``on_pause`` is called (seconds).
PAUSE: Final = 1.0

_STATUS: Final = Place("status", "Nobody was told what the process is doing, but the next one is")
_LOOK: Final = Place("look", "A look at the calls that are slow failed, and the next one follows")


class StatusSocket:
    """Listens, and once published answers.

    Args:
        path: of the socket.

    Raises:
        StartError: it cannot listen there.
    """

    def __init__(self, path: str) -> None:
        try:
            self._listener: Listener = open_listener(f"unix:{path}", BACKLOG, MODE)
        except StartError as error:
            raise StartError(f"--status-socket: {error}") from error
        # Where descriptors run out, this one is given up for a moment to accept a client with.
        self._spare = _spare()

    def publish(self, document: Callable[[], dict[str, Any]], on_pause: Callable[[], None]) -> None:
        """Take the path, and answer from now on.

        Args:
            document: what is told; called by the thread that answers.
            on_pause: called by it too, about every ``PAUSE`` seconds.

        Raises:
            StartError: the path has become somebody else's.
        """
        self._listener.publish()
        # A daemon: it is no reason for a process to go on.
        threading.Thread(
            target=self._answer_all, args=(document, on_pause), name="status", daemon=True
        ).start()

    def withdraw(self) -> None:
        """Remove the path, unless another process has taken it over."""
        self._listener.withdraw()

    def let_go(self) -> None:
        """Close the socket in a forked process."""
        self._listener.socket.close()

    def _answer_all(
        self, document: Callable[[], dict[str, Any]], on_pause: Callable[[], None]
    ) -> None:
        poller = select.poll()
        poller.register(self._listener.socket, select.POLLIN)
        next_pause = time.monotonic() + PAUSE
        while True:
            try:
                if poller.poll(max(0.0, next_pause - time.monotonic()) * 1000):
                    self._answer(document)
            except BaseException as error:
                _STATUS.note(error)
            if time.monotonic() >= next_pause:
                next_pause = time.monotonic() + PAUSE
                try:
                    on_pause()
                except BaseException as error:
                    _LOOK.note(error)

    def _answer(self, document: Callable[[], dict[str, Any]]) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        # What needs a descriptor itself comes before the client takes the only one there is.
        text = json.dumps(document())
        with contextlib.suppress(OSError):  # a client that left, or descriptors that others took
            client, _ = self._listener.socket.accept()
            with client:
                client.settimeout(SEND_TIMEOUT)
                client.sendall(text.encode("ascii") + b"\n")
        self._spare = _spare()


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
