"""Processes that a test starts: awaited, listened to, and ended with all that is below them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Final, Self

from tests.harness.waiting import LIMIT, Found, NotInTimeError, wait_until

ROOT: Final = Path(__file__).parents[2]
STOP_LIMIT: Final = 15.0  # seconds until SIGKILL
BLOCK: Final = 1 << 16  # bytes
# What would configure a stack or a server that a test starts.
OURS: Final = (
    *("BASCULE_", "NGINX_", "RUN_DIR", "SUPERVISOR_", "WORKERS", "HEALTH_PATH", "GATE"),
    *("HTTP_PORT", "STATUS_", "PORT", "WEB_CONCURRENCY", "SCRIPT_NAME", "GUNICORN_"),
)


class EndedError(AssertionError):
    """A process ended before a fact that was waited for came true."""


def inherited() -> dict[str, str]:
    """Return this process's environment without what is `OURS`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


class Process:
    """A program that runs while the `with` block does, in a process group of its own.

    All that it writes is kept: it never waits for a reader, and a failure's message has it.

    Args:
        command: the program and its arguments.
        env: the whole environment; None for this process's.
        log: the file for both of its streams; by default they are kept apart, in no directory.
        stdin: of the process; ``subprocess.PIPE`` for `tell` and `end_input`.
        pass_fds: descriptors that it inherits.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.command = [str(each) for each in command]
        self._read = 0  # bytes of standard output that `read_line` has read
        self._unread = b""  # the last of them, which it has not returned
        self._status: int | None = None
        self._is_reaped = False
        self._out = _kept(log)
        self._err = self._out if log else _kept(None)
        weakref.finalize(self, _close, {self._out, self._err})
        self._process = subprocess.Popen(
            self.command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=self._out,
            stderr=self._err,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process that was started, and of its group."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, minus the signal's number where one ended it; None while it runs."""
        if self._status is None:
            # It stays a zombie until `kill`: till then its id, and its group's, is nobody else's.
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended:
                was_killed = ended.si_code != os.CLD_EXITED
                self._status = -ended.si_status if was_killed else ended.si_status
        return self._status

    @property
    def out(self) -> str:
        """What it and those below it wrote to standard output so far."""
        return _text(self._out)

    @property
    def err(self) -> str:
        """What they wrote to standard error so far."""
        return _text(self._err)

    @property
    def words(self) -> str:
        """All that it wrote, for a message."""
        both = self.out if self._out == self._err else self.err + self.out
        return both.strip() or "it wrote nothing"

    def is_running(self) -> bool:
        """Whether the process that was started still runs."""
        return self.status is None

    def pids(self) -> list[int]:
        """Return the ids of the process and of all below it, its own first."""
        return list(tree(self.pid))

    def wait_until(
        self,
        fact: Callable[[], Found],
        what: str,
        *,
        limit: float = LIMIT,
        passing: tuple[type[Exception], ...] = (),
    ) -> Found:
        """As `tests.harness.waiting.wait_until`, but no longer than the process runs.

        Raises:
            EndedError: it has ended, and the fact is none.
            NotInTimeError: `limit` is over.
        """

        def look() -> Found:
            runs = self.is_running()  # before the look: what it did last counts
            try:
                found = fact()
            except passing as error:
                if not runs:
                    raise EndedError(self._ended(what)) from error
                raise
            if not found and not runs:
                raise EndedError(self._ended(what))
            return found

        try:
            return wait_until(look, what, limit=limit, passing=passing)
        except NotInTimeError as error:
            raise NotInTimeError(f"{error}; {self.command[0]} wrote:\n{self.words}") from None

    def _ended(self, what: str) -> str:
        return f"{self.command[0]} ended with status {self.status} before {what}: {self.words}"

    def read_line(self, limit: float = LIMIT) -> str:
        """Return the next line of standard output, its end included, once it is whole."""

        def whole_line() -> bytes:
            if b"\n" not in self._unread:
                block = os.pread(self._out, BLOCK, self._read)
                self._read += len(block)
                self._unread += block
            line, end, rest = self._unread.partition(b"\n")
            if not end:
                return b""
            self._unread = rest
            return line + end

        return self.wait_until(whole_line, "a line", limit=limit).decode(
            "utf-8", "backslashreplace"
        )

    def tell(self, text: str) -> None:
        """Write to its standard input."""
        assert self._process.stdin
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        if self._process.stdin:
            self._process.stdin.close()

    def signal(self, number: Signals) -> None:
        """Send a signal to the process that was started, alone."""
        if not self._is_reaped:
            os.kill(self.pid, number)

    def signal_group(self, number: Signals) -> None:
        """Send a signal to its whole group, as a terminal does."""
        if not self._is_reaped:
            os.killpg(self.pid, number)

    def wait(self, limit: float = STOP_LIMIT) -> int:
        """Return its exit status once it has ended by itself.

        Raises:
            NotInTimeError: `limit` is over.
        """
        what = f"the end of {self.command[0]}"
        wait_until(lambda: not self.is_running(), what, limit=limit, seen=lambda: self.words)
        assert self.status is not None
        return self.status

    def stop(self, limit: float = STOP_LIMIT) -> int:
        """End it with SIGTERM, after `limit` seconds with SIGKILL; return its exit status.

        What it leaves in its group is killed.
        """
        self.signal(SIGTERM)
        with contextlib.suppress(NotInTimeError):
            self.wait(limit)
        return self.kill()

    def kill(self) -> int:
        """End it and its whole group with SIGKILL; return its exit status."""
        self.signal_group(SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self.end_input()
        self._status = self._process.wait()
        self._is_reaped = True
        return self._status


def _kept(log: Path | None) -> int:
    """Return a descriptor for what is written; appending, for all who open it in their turn."""
    with tempfile.NamedTemporaryFile(prefix="output-") as unnamed:
        path = log or Path(unnamed.name)
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)


def _close(descriptors: set[int]) -> None:
    for each in descriptors:
        os.close(each)


def _text(descriptor: int) -> str:
    # Opened anew, it is read from its beginning.
    written = Path(f"/proc/self/fd/{descriptor}").read_bytes()
    return written.decode("utf-8", "backslashreplace")


def tree(pid: int) -> Iterator[int]:
    """Return the ids of a process and of all under it, its own first."""
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    yield from tree(int(child))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
