"""Workers in processes of their own that share a rate limit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@contextmanager
def hammering(
    workers: int, requests: int, settings: Mapping[str, Any]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start workers that make some requests each; all begin at once."""
    command = [sys.executable, "-m", "tests.middleware.hammer", str(requests), json.dumps(settings)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(workers)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe
                pipe.close()


def answers(processes: list[subprocess.Popen[bytes]]) -> bytes:
    """Return the signs of all answers; see `hammer`."""
    return b"".join(process.stdout.read() for process in processes if process.stdout)
