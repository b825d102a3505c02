"""The processes in which tests run (``tests.mutation.served``), as whoever asks them sees it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.mutation.copies import Copy

# What an order may take (seconds), whatever its tests take: their own limits come first.
LONGEST: Final = 600.0
LONGEST_TRACE: Final = 1800.0


class ServerError(Exception):
    """The process has ended; its words are in the file that the message names."""


class Server:
    """One of them, while the ``with`` block lasts.

    Args:
        copy: the tree that it runs in.
        arguments: of ``tests.mutation.served``.

    Attributes:
        collected: the ids of the tests that it can be asked for by id.
    """

    def __init__(self, copy: Copy, *arguments: str) -> None:
        self._copy = copy
        self._log = copy.root.parent / f"{arguments[0]}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [copy.python, "-m", "tests.mutation.served", *arguments],
                cwd=copy.root,
                env=copy.environment(dict(os.environ)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.collected: list[str] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # it may be in the middle of something
            self._process.terminate()
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ServerError(f"the tests' process ended: {self._log.read_text()[-2000:]}")
        return json.loads(line)

    def _ask(self, **order: Any) -> Any:
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def trace(self, tests: Sequence[str], directory: Path, package: Path) -> None:
        """Run tests, and have the lines that they run written to a directory."""
        self._ask(
            tests=tests, trace=str(directory), package=str(package), seconds={}, limit=LONGEST_TRACE
        )

    def run(
        self,
        tests: Sequence[str],
        seconds: Mapping[str, float],
        *,
        path: str = "",
        name: str = "",
        text: str = "",
    ) -> tuple[str, str]:
        """Run tests up to the first that fails.

        Args:
            tests: their ids, in order.
            seconds: what they usually take.
            path: of the module that is changed.
            name: of the function in it that is changed.
            text: the whole module; empty where the change on the disk is to count.

        Returns:
            How it ended (``survived``, ``killed``, ``unchanged``), and the last test's id.
        """
        last = self._copy.root.parent / "last"
        answer = self._ask(
            tests=tests,
            seconds={each: seconds[each] for each in tests if each in seconds},
            limit=LONGEST,
            write=str(last),
            path=path,
            name=name,
            text=text,
        )
        ended = last.read_text() if last.exists() else ""
        last.unlink(missing_ok=True)
        return answer["ending"], ended
