"""Workers in processes of their own that share a rate limit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.harness.processes import Process

READY = "ready\n"
LIMIT = 100.0  # seconds for all that a worker does


@contextmanager
def hammering(workers: int, requests: int, settings: Mapping[str, Any]) -> Iterator[list[Process]]:
    """Start workers that make some requests each; all begin at once."""
    command = [sys.executable, "-m", "tests.middleware.hammer", str(requests), json.dumps(settings)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Process(command, stdin=subprocess.PIPE)) for _ in range(workers)
        ]
        for process in processes:
            assert process.read_line(LIMIT) == READY
        for process in processes:
            process.tell("go\n")
        yield processes


def signs(process: Process) -> str:
    """Return the signs of a worker's answers so far; see `hammer`."""
    return process.out.removeprefix(READY)


def answers(processes: list[Process]) -> str:
    """Return the signs of all answers, once all have been given."""
    for process in processes:
        assert process.wait(LIMIT) == 0
    return "".join(map(signs, processes))
