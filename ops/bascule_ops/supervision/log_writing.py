"""How supervisord writes: no fault of a disk ends it, and what the log has lost is counted.

supervisor's own handlers keep what a full disk did not take in a buffer. Opening the log anew then
raises, and with it supervisord ends; until then each line prints a traceback. A handler here writes
without a buffer, goes on with the file it has where no other is to be had, and never raises. A line
that was cut gets an end, so that the next one is whole. A program's output comes in pieces: a line
that was begun waits for its end, so that no other program's gets into it.

The workers and nginx write most of the log themselves. What they could not write they say on
standard error, and it is counted here as well: a worker by its event ``log_lost``, nginx, which
counts nothing, by an alert a minute at the most.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from pathlib import Path
from typing import Any, Final, TypedDict

from supervisor import loggers  # type: ignore[import-untyped]

from bascule_ops.json_log import line, spoken

MODE: Final = 0o600
LONGEST_BEGUN: Final = 1 << 16  # bytes of a line that wait for its end
# 2026/11/21 10:00:00 [alert] 71#71: *12 write() to "/run/fd/1" failed (28: No space left on device)
# while logging request ...; or: write() to "/run/fd/1" was incomplete: 100 of 600 ...
_NGINX_LOST: Final = re.compile(
    rb"\[alert\] \d+#\d+: .*write\(\) to \"[^\"]*\" "
    rb"(?:failed \(\d+: (?P<why>[^)]*)\)|was incomplete: \d+ of \d+)"
)


class Lost(TypedDict):
    """What a log file is without.

    Attributes:
        lines: how many could not be written; of nginx's, one for each time that it says so.
        since: when the first of them came, in seconds since the epoch; 0 where there is none.
        why: what kept the last of them from being written; empty where the latest was written.
        last_why: what kept the last of them from being written.
    """

    lines: int
    since: float
    why: str
    last_why: str


def _nothing() -> Lost:
    return Lost(lines=0, since=0.0, why="", last_why="")


class Tally:
    """What the log has lost: standard output and error are one log, and mostly one file.

    Attributes:
        now: of the present file.
        aside: of the one before it, once that was put aside.
    """

    def __init__(self) -> None:
        self.now = _nothing()
        self.aside = _nothing()
        self._is_cut = False

    def write(self, descriptor: int, data: bytes) -> None:
        """Write lines of the log, or count them as lost."""
        self._hear(data)
        begun = b""
        if self.now["why"]:
            begun = b"\n" if self._is_cut else b""
            begun += self._told()
        written, why = _written(descriptor, begun + data)
        if not why:
            self.now["why"] = ""
            self._is_cut = False
            return
        kept = (begun + data)[:written]
        if kept:
            self._is_cut = not kept.endswith(b"\n")
        self.now["lines"] += data.count(b"\n") - kept[len(begun) :].count(b"\n")
        self.now["since"] = self.now["since"] or time.time()
        self.now["why"] = self.now["last_why"] = why

    def _hear(self, data: bytes) -> None:
        """Count what others have lost, where they say so."""
        if b"log_lost" in data or b"[alert]" in data:
            for each in data.splitlines():
                if lost := _lost_by_others(each):
                    lines, why = lost
                    self.now["lines"] += lines
                    self.now["since"] = self.now["since"] or time.time()
                    self.now["last_why"] = why

    def try_again(self, descriptor: int) -> None:
        """Say what is missing, where that can be written by now: nobody else may have a line."""
        if self.now["why"]:
            self.write(descriptor, b"")

    def begin_anew(self) -> None:
        """Another file has the log's name."""
        self.now, self.aside = _nothing(), self.now
        self._is_cut = False

    def _told(self) -> bytes:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now["since"]))
        words = f"{self.now['lines']} lines are missing since {since}: {self.now['why']}"
        return line("error", "log_lost", words, lines=self.now["lines"]).encode()


TALLY: Final = Tally()


def _lost_by_others(text: bytes) -> tuple[int, str] | None:
    """How many lines somebody has lost who says so, and why."""
    if found := _NGINX_LOST.search(text):
        return 1, (found["why"] or b"No space left on device").decode("utf-8", "replace")
    try:
        said = json.loads(text)
        return (int(said["lines"]), str(said["why"])) if said["event"] == "log_lost" else None
    except (ValueError, TypeError, KeyError):
        return None


def _written(descriptor: int, data: bytes) -> tuple[int, str]:
    """Write; return how many bytes were, and why not all of them."""
    done = 0
    while done < len(data):
        try:
            done += os.write(descriptor, data[done:])
        except OSError as error:
            return done, error.strerror or str(error)
    return done, ""


def _opened(path: str) -> int:
    # A pipe that nobody reads any more would be waited for.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, MODE)
    os.set_blocking(descriptor, True)
    return descriptor


class LogFile(loggers.Handler):  # type: ignore[misc]  # it has no types
    """In the place of supervisor's FileHandler; it takes the same arguments.

    Raises `OSError` where the file cannot be opened at first, and nothing later.

    Attributes:
        speaker: whose lines these are, where they are to become the log's.
    """

    speaker = ""

    def __init__(self, filename: str, mode: str = "ab") -> None:
        self.closed = True
        descriptor = _opened(filename)
        super().__init__()
        self.baseFilename = filename  # as supervisor names it
        self.mode = mode
        self._descriptor = descriptor
        self._begun = b""

    def emit(self, record: Any) -> None:
        """Write a record: a program's output as it came, supervisord's own with a time."""
        message = record.msg
        if not isinstance(message, bytes):
            message = (self.fmt % record.asdict()).encode("utf-8", "replace")
        self.put(message)

    def put(self, data: bytes) -> None:
        """Write the lines that are whole by now."""
        data = self._begun + data
        end = data.rfind(b"\n") + 1
        if len(data) - end > LONGEST_BEGUN:
            end = len(data)
        self._begun = data[end:]
        if end:
            lines = data[:end]
            if self.speaker:
                lines = b"".join(spoken(each, self.speaker) for each in lines.splitlines())
            TALLY.write(self._descriptor, lines)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def reopen(self) -> None:
        """Go on in what has the name now; in the same file where that cannot be opened."""
        with contextlib.suppress(OSError):
            opened = _opened(self.baseFilename)
            self._release()
            self._descriptor, self.closed = opened, False

    def remove(self) -> None:
        """Empty the file, where it is one of its own."""
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.lstat(self.baseFilename).st_mode):
                os.truncate(self.baseFilename, 0)

    def close(self) -> None:
        """Give the file up; a line that was begun is all that there will be of it."""
        if not self.closed:
            if self._begun:
                self.put(b"\n")
            self._release()

    def _release(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def __del__(self) -> None:
        # supervisor does not close the logs of a process that has ended; it forgets them.
        self.close()


class OwnLogFile(LogFile):
    """In the place of supervisor's RotatingFileHandler: supervisord's own log; it stays small."""

    def __init__(self, filename: str, mode: str, most: int, backups: int) -> None:
        super().__init__(filename, mode)
        self._most = most
        self._has_backup = bool(backups)

    def put(self, data: bytes) -> None:
        """Write lines; put the file aside where it has become large. What is lost is no matter."""
        _written(self._descriptor, data)
        with contextlib.suppress(OSError):
            if self._most and os.fstat(self._descriptor).st_size >= self._most:
                if self._has_backup:
                    Path(self.baseFilename).replace(f"{self.baseFilename}.1")
                else:
                    os.truncate(self.baseFilename, 0)
                self.reopen()


def take_over() -> None:
    """Have supervisor make its log files with these."""
    loggers.FileHandler = LogFile
    loggers.RotatingFileHandler = OwnLogFile
