"""How long questions to a log of a million lines take: ``python -m tests.ops.measure_logs``.

Makes such a log, of two hours, in a temporary directory (475 MB), asks, and prints seconds and
memory. docs/logs.md has the figures.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.ops.log_lines import request

LINES = 1_000_000
SECONDS = 7200
TARGETS = ("/", "/item/%d", "/user/%d/orders", "/static/%d.css", "/search?q=%d", "/api/things/%d")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"


def write(path: Path) -> str:
    """Write the log; return the id of a request in its middle."""
    chance = random.Random(1)
    begin = datetime.now(UTC) - timedelta(seconds=SECONDS)
    asked_for = ""
    with path.open("w") as log:
        for number in range(LINES // 2):
            now = begin + timedelta(seconds=SECONDS * number / (LINES // 2))
            moment = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            request_id = f"{chance.getrandbits(128):032x}"
            if number == LINES // 4:
                asked_for = request_id
            target = chance.choice(TARGETS)
            details = {
                "request_id": request_id,
                "connection": number,
                "remote_addr": f"203.0.113.{chance.randrange(250)}",
                "target": target % chance.randrange(99999) if "%" in target else target,
                "status": chance.choices((200, 404, 500), (95, 3, 2))[0],
                "duration_ms": int(chance.expovariate(1 / 40)),
                "user_agent": AGENT,
            }
            worker = {"worker": str(number % 2), "upstream": ""}
            for line in (
                request("00:00:00.000", **details, **worker),
                request("00:00:00.000", **details),
            ):
                log.write(line.replace("2026-11-21T00:00:00.000Z", moment, 1) + "\n")
    return asked_for


def processor_time() -> float:
    """Seconds that processes which have ended took of a processor."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Make the log, ask, print."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "big.log")
        request_id = write(path)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {LINES} lines")
        for module, *arguments in (
            ("show", "--text", "--request-id", request_id),
            ("show", "--since", "10m"),
            ("show", "--status", "5xx"),
            ("show", "--lines", "100"),
            ("requests", "--since", "1h"),
            ("requests", "--since", "3h"),
            ("slow", "--since", "3h"),
        ):
            began, used = time.monotonic(), processor_time()
            subprocess.run(
                [sys.executable, "-m", f"bascule_ops.logs.{module}", "--file", path, *arguments],
                stdout=subprocess.DEVNULL,
                check=True,
            )
            took, used = time.monotonic() - began, processor_time() - used
            print(
                f"{took:5.1f} s, {used:4.1f} of them computing: {module} {' '.join(arguments)}",
                flush=True,
            )
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps({"most_memory_mib": round(most / 1024)}))


if __name__ == "__main__":
    main()
