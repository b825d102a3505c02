"""Measures the server beside its peers; ``tests/bench/run --help`` says how it is used."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.bench import aims, arguments, charts, machine, native, report, runner
from tests.bench.arguments import Options
from tests.bench.install import InstallError, check_out, install
from tests.bench.measure import Bench
from tests.bench.peers import BEFORE, PEERS
from tests.bench.preparation import make_ready, require_two_cores
from tests.bench.processes import none_left
from tests.bench.results import Results, write
from tests.bench.scenarios import SCENARIOS

IDLE_LOAD = 0.5  # processes that run, on average of the last minute
PLAIN_WIDTH = 110  # where no terminal says how wide it is: as the tables are


def prepare(
    options: Options, bench: Bench, console: Console
) -> tuple[dict[str, str], dict[str, str]]:
    """Install and try every server; return the versions of those that work, and who does not."""
    servers: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name in options.servers:
        peer = PEERS[name]
        console.print(f"Trying {name} ...", highlight=False)
        try:
            install(peer)
            runner.check(peer, bench)
            servers[name] = peer.version() or (options.before if name == BEFORE else "")
        except (InstallError, *runner.FAILURES) as error:
            left_out[name] = str(error)
            console.print(f"[bold red]LEFT OUT[/] {name}: {escape(str(error))}")
    return servers, left_out


def measure(options: Options, console: Console, directory: Path) -> Results:
    """Do all the rounds and return what they found."""
    for program in ("floor", "load"):
        native.build(program, directory)
    if options.before:
        check_out(options.before, directory / BEFORE)
    bench = Bench(directory, options.seconds, options.warm_up, options.population)
    # Before anything of ours disturbs it.
    described = machine.describe()
    if os.getloadavg()[0] > IDLE_LOAD:
        console.print(
            f"[bold yellow]The machine is busy[/] (load {os.getloadavg()[0]:.1f}): rates and "
            "latencies will say little; the processor time a request says more."
        )
    servers, left_out = prepare(options, bench, console)
    found = Results(
        rounds=options.rounds,
        seconds=options.seconds,
        machine=described,
        servers=servers,
        left_out=left_out,
        command=shlex.join(["tests/bench/run", *arguments.without_output(sys.argv[1:])]),
        began=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    chosen = [SCENARIOS[name] for name in options.scenarios]
    count, seconds = runner.expected(chosen, list(servers), bench, options.rounds)
    console.print(f"{count} measurements, about {seconds / 60:.0f} min", highlight=False)
    began = time.monotonic()
    with report.ProgressBar(console, options.rounds, count) as bar:
        runner.run(chosen, bench, found, bar)
    found.took_seconds = time.monotonic() - began
    return found


def finish(options: Options, found: Results, console: Console) -> None:
    """Print what was found, and write it where that is wanted."""
    verdicts = aims.judge(found, options.scenarios)
    report.show(console, found, [SCENARIOS[name] for name in options.scenarios], verdicts)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        judged = {"aims": [verdict.as_json() for verdict in verdicts]}
        write(options.output / "results.json", {**found.as_json(SCENARIOS), **judged})
        charts.draw(found, SCENARIOS, options.output)
        console.print(f"Written to {options.output}", highlight=False, markup=False)


def main(given: Sequence[str]) -> int:
    """Run the benchmark; return the exit status."""
    options = arguments.parse(given)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    make_ready()
    try:
        require_two_cores()
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, none_left():
            found = measure(options, console, Path(directory))
    except (native.MissingToolError, InstallError) as error:
        console.print(f"[bold red]tests/bench/run[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running, nothing was written.")
        return 130
    finish(options, found, console)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
