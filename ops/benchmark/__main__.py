"""Measures the server beside its peers; ``ops/bench --help`` says how it is used."""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ops.benchmark import machine, native, report, runner
from ops.benchmark.install import InstallError, install
from ops.benchmark.peers import PEERS
from ops.benchmark.processes import LOAD_CORE, ROOT, SERVER_CORE
from ops.benchmark.results import Results, write
from ops.benchmark.scenarios import SCENARIOS, Bench

ROUNDS = 5
SECONDS = 1.5
WARM_UP_SECONDS = 0.3
QUICK_SECONDS = 0.4
QUICK_WARM_UP_SECONDS = 0.1
OUTPUT = ROOT / "docs" / "bench"


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ops/bench",
        description=(
            "Measures the server beside gunicorn, waitress, uWSGI, cheroot, granian, bjoern, "
            "fastwsgi and a floor in C: same interpreter, one worker on one core, the load on "
            "another, rounds interleaved. docs/bench/README.md says how to read the figures."
        ),
    )
    parser.add_argument(
        "--only", type=_names(SCENARIOS), default=list(SCENARIOS), metavar="SCENARIO,...",
        help=f"of {', '.join(SCENARIOS)}",
    )  # fmt: skip
    parser.add_argument(
        "--servers", type=_names(PEERS), default=list(PEERS), metavar="SERVER,...",
        help=f"of {', '.join(PEERS)}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=_rounds, help=f"of everything (default: {ROUNDS})")
    parser.add_argument(
        "--seconds", type=_seconds, help=f"for each measurement (default: {SECONDS})"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that it works"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIRECTORY",
        help="for results.json and the charts (default: docs/bench; with --quick, --only or "
        "--servers nothing is written unless this is given)",
    )  # fmt: skip
    return parser.parse_args(given)


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    choices = list(known)

    def parse(value: str) -> list[str]:
        names = value.split(",")
        for name in names:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(choices)}")
        # In the order of the list, each once.
        return [name for name in choices if name in names]

    return parse


def _rounds(value: str) -> int:
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is no whole number from 1 up")


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if 0.1 <= number <= 60:
        return number
    raise argparse.ArgumentTypeError(f"{value!r} is no number from 0.1 to 60")


def prepare(
    names: Sequence[str], bench: Bench, console: Console
) -> tuple[dict[str, str], dict[str, str]]:
    """Install and try every server; return the versions of those that work, and who does not."""
    servers: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in names:
        peer = PEERS[name]
        console.print(f"Trying {name} ...", highlight=False)
        try:
            install(peer)
            runner.check(peer, bench)
            servers[name] = peer.version()
        except (InstallError, *runner.FAILURES) as error:
            left_out[name] = str(error)
            console.print(f"[bold red]LEFT OUT[/] {name}: {escape(str(error))}")
    return servers, left_out


def measure(arguments: argparse.Namespace, console: Console, directory: Path) -> Results:
    """Do all the rounds and return what they found."""
    quick = arguments.quick
    bench = Bench(
        directory,
        native.build("floor", directory),
        arguments.seconds or (QUICK_SECONDS if quick else SECONDS),
        QUICK_WARM_UP_SECONDS if quick else WARM_UP_SECONDS,
    )
    servers, left_out = prepare(arguments.servers, bench, console)
    found = Results(
        rounds=arguments.rounds or (1 if quick else ROUNDS),
        seconds=bench.seconds,
        machine=machine.describe(),
        servers=servers,
        left_out=left_out,
        command=shlex.join(["ops/bench", *sys.argv[1:]]),
        began=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    chosen = [SCENARIOS[name] for name in arguments.only]
    count = found.rounds * sum(len(runner.taking_part(each, list(servers))) for each in chosen)
    minutes = runner.expected_seconds(chosen, list(servers), bench, found.rounds) / 60
    console.print(f"{count} measurements, about {minutes:.0f} min", highlight=False)
    began = time.monotonic()
    with report.ProgressBar(console, found.rounds, count) as bar:
        runner.run(chosen, bench, found, bar)
    found.took_seconds = time.monotonic() - began
    return found


def main(given: Sequence[str]) -> int:
    """Run the benchmark; return the exit status."""
    arguments = _arguments(given)
    console = Console()
    # What ends us ends the servers as well, by the way of every ``with``.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        native.require("wrk", "wrk")
        if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
            raise native.MissingToolError("needs two cores: one for the server, one for the load")
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            found = measure(arguments, console, Path(directory))
    except native.MissingToolError as error:
        console.print(f"[bold red]ops/bench[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running, nothing was written.")
        return 130
    chosen = [SCENARIOS[name] for name in arguments.only]
    report.show(console, found, chosen)
    if output := where_to_write(arguments):
        output.mkdir(parents=True, exist_ok=True)
        write(output / "results.json", found.as_json(SCENARIOS))
        console.print(f"Written to {output}", highlight=False, markup=False)
    return 0


def where_to_write(arguments: argparse.Namespace) -> Path | None:
    """Return the directory for files: the one asked for; docs/bench only for a whole run."""
    if arguments.output:
        return Path(arguments.output)
    is_whole = arguments.only == list(SCENARIOS) and arguments.servers == list(PEERS)
    return OUTPUT if is_whole and not arguments.quick else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
