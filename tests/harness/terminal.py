"""A terminal of its own for a command: what is typed there, and what it shows."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

LIMIT: Final = 30.0  # seconds


class Terminal:
    """A command whose controlling terminal this is."""

    def __init__(
        self, command: Sequence[str], place: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.chdir(place)
            usual = {**(environ or os.environ), "TERM": "dumb", "HOME": str(place)}
            os.execvpe(command[0], list(command), usual)
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def type(self, text: str) -> None:
        """Press these keys; what was shown before no longer counts."""
        self._shown = ""
        os.write(self._terminal, text.encode())

    def wait_for(self, text: str) -> None:
        """Return as soon as the command has shown it."""
        deadline = time.monotonic() + LIMIT
        while text not in self._shown:
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, left))
            assert readable, f"{text!r} is not in {self._shown!r}"
            self._shown += os.read(self._terminal, 65536).decode(errors="replace")

    def modes(self) -> list[Any]:
        """How the terminal treats what is typed (termios(3))."""
        return termios.tcgetattr(self._terminal)

    def exit_status(self) -> int:
        """Return the command's once it has ended; what it shows until then is not kept."""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while os.read(self._terminal, 65536):
                pass
        pid, self._pid = self._pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self) -> None:
        """End the command."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)
