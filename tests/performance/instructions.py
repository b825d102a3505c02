"""Counts the instructions that the server executes for one request, without a clock.

Run ``python -m tests.performance.instructions`` to compare them with the recorded figures,
``--accept`` to record them, and ``--look SCENARIO`` to see which C functions they are spent in.

The real server runs under valgrind's callgrind, on a real socket; the client is this process, so
none of its work is counted. Two runs that differ only in how many requests they serve are
subtracted, which leaves requests alone: neither start and stop nor the filling of memos. The
requests are the benchmark's, from a seed. Hash seed, locale and addresses are fixed, and nothing
depends on a deadline, so that two counts of the same code differ by about a thousandth.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from tests.bench import api_clients, browsers
from tests.bench.population import SEED, forwarded
from tests.harness.client import Client
from tests.harness.processes import Process

ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_suffix(".json")
APPLICATION = "app.hello:application"

# Both runs are past what only first requests do: memos are full, bytecode is specialised.
FEW, MANY = 500, 2000
# So that start and stop, which are in the profile as well, weigh little beside the requests.
MANY_TO_LOOK_AT = 20_000
TOP = 40  # lines of the profile
START_DEADLINE = 120.0  # seconds; under valgrind a start takes 3
REPLY_DEADLINE = 20.0  # seconds


@dataclass(frozen=True)
class Scenario:
    """What is asked, and of which server.

    Attributes:
        requests: makes the first so many of the messages.
        arguments: the server's own; ``{directory}`` stands for one that is empty.
    """

    requests: Callable[[int], Iterable[bytes]]
    arguments: Sequence[str] = (APPLICATION,)


def _hello(count: int) -> Iterable[bytes]:
    return repeat(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", count)


def _traffic(count: int) -> Iterable[bytes]:
    return forwarded(browsers.requests(SEED, count), random.Random(SEED))


def _api(count: int) -> Iterable[bytes]:
    return forwarded(api_clients.requests(SEED, count), random.Random(SEED))


# Through the chain that ships, with log and metrics, as supervisor starts a worker.
SHIPPED = (
    *("--chain", "app/chain.toml", "--access-logfile", "{directory}/access.log"),
    *("--metrics-file", "{directory}/metrics", "--worker", "0"),
)
SCENARIOS = {
    "traffic": Scenario(_traffic),
    "clients of an API": Scenario(_api),
    "traffic, as shipped": Scenario(_traffic, SHIPPED),
    "hello": Scenario(_hello),
}


class CountingError(Exception):
    """The instructions cannot be counted here; the message says why."""


def interpreter() -> str:
    """Name what the count depends on: the interpreter's version and how it was compiled."""
    variables = sysconfig.get_config_vars("SOABI", "CC", "PY_CFLAGS", "CONFIG_ARGS")
    abi, compiler, flags, configured = (str(each) for each in variables)
    version = platform.python_compiler().split()[-1]
    level = re.findall(r"-O\w*", flags)[-1:]
    extras = [each for each in ("--enable-optimizations", "--with-lto") if each in configured]
    return " ".join([abi, compiler.split()[0], version, *level, *extras])


def recorded() -> dict[str, dict[str, int]]:
    """Return the figures of each interpreter, by scenario."""
    figures: dict[str, dict[str, int]] = json.loads(FIGURES.read_text(encoding="ascii"))
    return figures


def record(counted: dict[str, int]) -> None:
    """Make these the figures of this interpreter."""
    figures = {**recorded(), interpreter(): counted}
    text = json.dumps(figures, indent=2, sort_keys=True)
    FIGURES.write_text(text + "\n", encoding="ascii")


def count(scenario: Scenario) -> int:
    """Return the instructions of one request.

    Raises:
        CountingError: valgrind is missing, or the server did not serve.
    """
    with tempfile.TemporaryDirectory(prefix="bascule-") as name:
        directory = Path(name)
        _serve(scenario, 1, directory, [])  # leaves the modules compiled
        totals = [_serve_counted(scenario, requests, directory) for requests in (FEW, MANY)]
    return round((totals[1] - totals[0]) / (MANY - FEW))


def _serve_counted(scenario: Scenario, requests: int, directory: Path) -> int:
    profile = directory / "profile"
    _serve(scenario, requests, directory, _callgrind(profile))
    summary = re.search(r"^(?:summary|totals): (\d+)", profile.read_text("ascii"), re.MULTILINE)
    if summary is None:
        raise CountingError("callgrind wrote no total")
    return int(summary[1])


def _callgrind(profile: Path) -> list[str]:
    if shutil.which("valgrind") is None:
        raise CountingError("valgrind, a package of Debian's, is not installed")
    return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}"]


def _serve(scenario: Scenario, requests: int, directory: Path, prefix: list[str]) -> None:
    """Have one server process answer so many requests on one connection."""
    path = directory / "socket"
    with _server(scenario, path, prefix) as process:
        try:  # it appears when the server listens
            process.wait_until(path.exists, "the server's socket", limit=START_DEADLINE)
        except AssertionError as error:
            raise CountingError(str(error)) from None
        with Client(str(path), deadline=REPLY_DEADLINE) as client:
            for message in scenario.requests(requests):
                method = message.partition(b" ")[0].decode("ascii")
                reply = client.request(message, method=method)
                if reply.status != 200:
                    raise CountingError(f"the server answered {reply.status} {reply.reason}")


@contextmanager
def _server(scenario: Scenario, path: Path, prefix: list[str]) -> Iterator[Process]:
    """Run one server; it ends, as it does when nobody is connected any more, with the block."""
    arguments = [each.format(directory=path.parent) for each in scenario.arguments]
    command = [
        *prefix, sys.executable, "-m", "bascule", "--bind", f"unix:{path}", "--threads", "1",
        "--timeout", "0", "--access-logfile", "off", "--access-logformat", "json",
        "--log-level", "error", *arguments,
    ]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
    with Process(command, env=env) as process:
        try:
            yield process
        finally:
            process.signal(signal.SIGINT)
            with suppress(AssertionError):
                process.wait(START_DEADLINE)


def look(scenario: Scenario) -> str:
    """Return the functions of the interpreter in which most instructions are spent."""
    with tempfile.TemporaryDirectory(prefix="bascule-") as name:
        profile = Path(name, "profile")
        _serve(scenario, MANY_TO_LOOK_AT, Path(name), _callgrind(profile))
        annotated = subprocess.run(
            ["callgrind_annotate", "--auto=no", str(profile)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return "\n".join(annotated.splitlines()[:TOP])


def main() -> None:
    """Count, compare, and record where asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.performance.instructions",
        description="Counts the server's instructions for one request.",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--accept", action="store_true", help="record what is counted")
    action.add_argument("--look", choices=SCENARIOS, help="show where they are spent")
    arguments = parser.parse_args()
    try:
        if arguments.look:
            print(look(SCENARIOS[arguments.look]))
            return
        known = recorded().get(interpreter(), {})
        counted = {}
        for name, scenario in SCENARIOS.items():
            counted[name] = instructions = count(scenario)
            before = known.get(name)
            change = f"{instructions / before - 1:+.1%} of {before:,}" if before else "not recorded"
            print(f"{name:28}{instructions:9,}  {change}", flush=True)
    except CountingError as error:
        sys.exit(f"cannot count instructions: {error}")
    if arguments.accept:
        record(counted)
        print(f"recorded for {interpreter()}")


if __name__ == "__main__":
    main()
