"""The load: one wrk on a core of its own, steered and read through its Lua interface."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench import heads
from tests.bench.load import LoadError
from tests.bench.processes import LOAD_CORES, pinned
from tests.harness.processes import Process

CONNECTIONS: Final = 64
# wrk's own limit only; it is stopped before (it takes whole seconds and we want fractions).
LONGEST_SECONDS: Final = 120
STOP_SECONDS: Final = 10.0

REPORT: Final = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"seconds":%.6f,"bytes":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted."""

    requests: int
    seconds: float
    bytes: int  # received, heads and all
    errors: int
    p50_us: int
    p99_us: int

    @property
    def requests_per_second(self) -> float:
        """The rate of complete responses."""
        return self.requests / self.seconds


def lua_string(text: str) -> str:
    """Return `text` as a Lua literal; ASCII only."""
    return "".join(['"', *(f"\\{ord(each):03d}" for each in text), '"'])


def fixed() -> str:
    """Return the script for wrk's own short head."""
    return REPORT


def closing() -> str:
    """Return the script that has every connection closed after its response."""
    return f'wrk.headers["Connection"] = "close"\n{REPORT}'


def proxied() -> str:
    """Return the script for the head that nginx forwards, its id new every time."""
    before, after = heads.proxied().split(heads.UNIQUE)
    return f"""
local before, after, count = {lua_string(before)}, {lua_string(after)}, os.time() * 1000000
request = function()
  count = count + 1
  return before .. string.format("%032x", count) .. after
end
{REPORT}"""


def browser() -> str:
    """Return the script for what a browser sends to nginx."""
    fields = "".join(
        f"wrk.headers[{lua_string(name)}] = {lua_string(value)}\n" for name, value in heads.BROWSER
    )
    target, host = lua_string(heads.TARGET), lua_string(heads.HOST)
    return f'wrk.path = {target}\nwrk.headers["Host"] = {host}\n{fields}{REPORT}'


def upload(size: int) -> str:
    """Return the script for a POST with a body of `size` bytes."""
    return f'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\n{REPORT}'


def parse(output: str) -> Load:
    """Return what the script's last line says.

    Raises:
        LoadError: there is no such line.
    """
    for line in reversed(output.splitlines()):
        if line.startswith("RESULT "):
            values: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return Load(**values)
    raise LoadError(f"wrk gave no result: {output.strip()[-300:]}")


def catches_interrupt(status: str) -> bool:
    """Whether ``/proc/PID/status`` says that SIGINT is caught (SigCgt in proc(5))."""
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & 1 << signal.SIGINT - 1)
    return False


def _wait_until_it_can_be_stopped(process: Process) -> None:
    """Return when wrk has its handler for SIGINT: before, that would just end or miss it."""
    status = Path(f"/proc/{process.pid}/status")
    try:
        process.wait_until(
            lambda: catches_interrupt(status.read_text()), "wrk's handler", limit=STOP_SECONDS
        )
    except AssertionError as error:
        raise LoadError(f"wrk did not start: {error}") from None


def run(
    address: str,
    script: Path,
    seconds: float,
    *,
    connections: int,
    cores: str = LOAD_CORES,
) -> Load:
    """Put load on a TCP `address` for some seconds.

    Raises:
        LoadError: wrk could not.
    """
    command: Sequence[str] = [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", str(LONGEST_SECONDS), "--timeout", "10"),
        *("--script", str(script), f"http://{address}/"),
    ]
    with Process(pinned(cores, command)) as process:
        _wait_until_it_can_be_stopped(process)
        time.sleep(seconds)
        process.signal(signal.SIGINT)  # wrk ends its run and reports
        process.wait(STOP_SECONDS)
        output = process.words
    return parse(output)
