"""A program on a terminal of its own, whose screen can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pyte

from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until


class Terminal:
    """Runs `command` on a pseudo-terminal.

    Attributes:
        process: what was started.
    """

    def __init__(
        self,
        *command: str,
        columns: int = 100,
        lines: int = 40,
        cwd: Path = ROOT,
        environ: dict[str, str] | None = None,
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        self._resize(columns, lines)
        self.modes = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=(environ or dict(os.environ)) | {"TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Make the window larger or smaller."""
        self._screen.resize(lines, columns)
        self._resize(columns, lines)

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def line(self, part: str) -> str:
        """The first line that has `part` in it."""
        return next(line for line in self.text.splitlines() if part in line)

    def is_reversed(self, part: str) -> bool:
        """Whether the first line that has `part` in it is shown as chosen."""
        number = next(i for i, line in enumerate(self._screen.display) if part in line)
        return bool(self._screen.buffer[number][0].reverse)

    def wait_for(self, *parts: str, gone: str = "\0") -> str:
        """Read until all `parts` are on the screen, and `gone` is not; return the screen."""
        self._wait(
            lambda: gone not in self.text and all(part in self.text for part in parts),
            f"{parts} on the screen",
        )
        return self.text

    def wait_until(self, fact: Callable[[], bool]) -> None:
        """Read until `fact`."""
        self._wait(fact, "what the test looks for on the screen")

    def _wait(self, fact: Callable[[], bool], what: str) -> None:
        wait_until(fact, what, seen=lambda: self.text, pause=self._read, interval=0.1)

    def _read(self, seconds: float) -> None:
        if select.select([self._ours], [], [], seconds)[0]:
            self._stream.feed(os.read(self._ours, 65536))

    def wait(self) -> int:
        """Read until the program ends; return its status."""
        self._wait(lambda: self.process.poll() is not None, "the program's end")
        while select.select([self._ours], [], [], 0)[0]:
            self._read(0)
        return self.process.returncode

    @property
    def is_as_it_was(self) -> bool:
        """Whether the terminal echoes and waits for lines again."""
        return termios.tcgetattr(self._theirs) == self.modes

    def close(self) -> None:
        """End the program, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
