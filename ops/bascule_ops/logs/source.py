"""Where lines come from: files (`bascule_ops.logs.files`), standard input, the containers' logs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bascule_ops.logs.record import cleaned


class Source(Protocol):
    """A log."""

    @property
    def is_ordered(self) -> bool:
        """Whether lines come in the order of their times, but for a moment."""

    def lines(self, since: str, last: int | None) -> Iterator[bytes]:
        """The lines, cleaned.

        Args:
            since: lines from before this time (the log's form) may be left out; empty: none.
            last: lines before the last so many may be left out; None: none.
        """

    def follow(self, last: int | None) -> Iterator[bytes]:
        """The last lines, and then those that are still to come."""


@dataclass(frozen=True)
class StandardInput:
    """Standard input, in which several logs may have been joined."""

    is_ordered = False

    def lines(self, since: str, last: int | None) -> Iterator[bytes]:  # noqa: ARG002 (a filter's)
        return map(cleaned, sys.stdin.buffer)

    def follow(self, last: int | None) -> Iterator[bytes]:  # noqa: ARG002
        # A line at a time, not a buffer at a time.
        return map(cleaned, iter(sys.stdin.buffer.readline, b""))


@dataclass(frozen=True)
class Compose:
    """The logs of the containers of the compose project in a directory.

    Raises, while it is read:
        OSError: docker compose failed; its message is on standard error.
    """

    directory: Path
    environ: Mapping[str, str]
    is_ordered = False

    def lines(self, since: str, last: int | None) -> Iterator[bytes]:
        # The engine's times are those of receipt: none of them is earlier than the line's.
        return self._read(*(["--since", since] if since else []), "--tail", _tail(last))

    def follow(self, last: int | None) -> Iterator[bytes]:
        return self._read("--follow", "--tail", _tail(last))

    def _read(self, *arguments: str) -> Iterator[bytes]:
        command = ["docker", "compose", "logs", "--no-log-prefix", "--no-color", *arguments]
        with subprocess.Popen(
            command, cwd=self.directory, env=self.environ, stdout=subprocess.PIPE
        ) as process:
            if process.stdout:
                yield from map(cleaned, iter(process.stdout.readline, b""))
        if process.returncode:
            raise OSError(f"docker compose logs ended with status {process.returncode}")


def _tail(last: int | None) -> str:
    return "all" if last is None else str(last)
