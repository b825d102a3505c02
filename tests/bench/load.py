"""The load: one `load.c` on a core of its own, which replays a population."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.processes import LOAD_CORES, pinned

CONNECTIONS: Final = 64
DRAIN_SECONDS: Final = 10.0


class LoadError(Exception):
    """The load ended without figures; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the load counted.

    Attributes:
        requests: those that were answered, errors as well.
        in_time: those of them that were answered within `seconds`; the last are awaited beyond.
        bytes: received, heads and all.
        sent: how many requests of the population it took.
        p50_us: latency in µs, as the others; `apart` are those for a target of their own.
    """

    requests: int
    in_time: int
    seconds: float
    bytes: int
    errors: int
    sent: int
    p50_us: int
    p99_us: int
    apart: int
    apart_p50_us: int
    apart_p99_us: int

    @property
    def requests_per_second(self) -> float:
        """The rate of complete responses."""
        return self.in_time / self.seconds


def parse(output: str, complaint: str = "") -> Load:
    """Return what the load's last line says.

    Raises:
        LoadError: there is no such line, or nothing was answered.
    """
    for line in reversed(output.splitlines()):
        if line.startswith("RESULT "):
            values: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return Load(**values)
    raise LoadError(f"the load gave no result: {(complaint or output).strip()[-300:]}")


def run(
    program: Path,
    address: str,
    population: Path,
    seconds: float,
    *,
    connections: int = CONNECTIONS,
    rate: float = 0.0,
    first: int = 0,
    apart: str = "",
    cores: str = LOAD_CORES,
) -> Load:
    """Put load on an address for some seconds.

    Args:
        program: the compiled `load.c`.
        rate: requests a second; 0 sends each when the last on its connection is answered.
        first: the number of the population's request to begin with.
        apart: the target of requests whose latencies are counted apart.

    Raises:
        LoadError: it could not.
    """
    command = [
        *(str(program), address, str(connections), str(seconds), str(rate), str(first)),
        *(str(population), *([apart] if apart else [])),
    ]
    done = subprocess.run(
        pinned(cores, command),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + DRAIN_SECONDS,
    )
    return parse(done.stdout, done.stderr)
