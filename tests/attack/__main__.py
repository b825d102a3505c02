"""Attacks the server and its peers; ``tests/attack/run --help`` says how it is used."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.attack import table
from tests.attack.measure import Field, measure, usual_client
from tests.attack.plans import ATTACKS
from tests.bench import machine, native
from tests.bench.peers import FLOOR, PEERS, Start
from tests.bench.preparation import make_ready, require_two_cores
from tests.bench.processes import Server, StartError, none_left
from tests.bench.results import write
from tests.bench.runner import rotated
from tests.harness.argument_types import number_between, whole_number_up_to
from tests.harness.ports import free_port
from tests.harness.processes import ROOT

# Ours, and those of its kind: threads behind one event loop.
SERVERS: Final = ("bascule", "gunicorn-gthread", "waitress")
ROUNDS: Final = 5
SECONDS: Final = 1.0
OUTPUT: Final = ROOT / "docs" / "bench" / "attacks.json"
PAGE: Final = ROOT / "docs" / "hardening.md"
WIDTH: Final = 140  # where no terminal says how wide it is


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the options; exits with status 2 where one is wrong."""
    parser = argparse.ArgumentParser(
        prog="tests/attack/run",
        description="Attacks the server, gunicorn and waitress with the same clients, each on one "
        "core and by itself on the loopback address, and tells what a usual client beside the "
        "attack notices, what memory and processor time it costs, and what is left after it.",
        epilog="attacks:\n"
        + "\n".join(f"  {each.name:16}{each.title}" for each in ATTACKS.values())
        + "\n\nexit status: 0 all measured; 1 a server or a tool is missing or failed; "
        "2 wrong arguments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("names", nargs="*", metavar="NAME", choices=[[], *ATTACKS], help="these attacks only")
    option(
        "--rounds",
        type=whole_number_up_to(100),
        default=ROUNDS,
        metavar="N",
        help=f"default: {ROUNDS}",
    )
    option(
        "--seconds",
        type=number_between(0.3, 60),
        default=SECONDS,
        metavar="S",
        help=f"without the attack, and as many with it (default: {SECONDS:g})",
    )
    option(
        "--servers",
        type=lambda value: value.split(","),
        default=list(SERVERS),
        metavar="SERVER,...",
        help=f"of {', '.join(SERVERS)}",
    )
    option(
        "--write",
        action="store_true",
        help="write docs/bench/attacks.json and the table of docs/hardening.md (a whole run does)",
    )
    options = parser.parse_args(given)
    if unknown := set(options.servers) - set(SERVERS):
        parser.error(f"{unknown.pop()!r} is none of {', '.join(SERVERS)}")
    options.write |= not options.names and set(options.servers) == set(SERVERS)
    return options


def floor(field: Field) -> float:
    """Return the usual client's p99 (ms) with a server in C that does next to nothing."""
    wanted = Start("", f"127.0.0.1:{free_port()}", 1, field.directory, closes=False)
    command = PEERS[FLOOR].command(wanted)
    with Server(command, wanted.address, field.directory / "floor.log") as server:
        server.wait_until_it_answers()
        kept: dict[str, Any] = usual_client(server.address, field.seconds, "kept")["kept"]
        return float(kept["p99_ms"])


def run(options: argparse.Namespace, field: Field, console: Console) -> table.Results:
    """Do all rounds; each goes through every attack, and within it through every server."""
    native.build(FLOOR, field.directory)
    found = table.Results(
        command=shlex.join(["tests/attack/run", *sys.argv[1:]]),
        rounds=options.rounds,
        seconds=options.seconds,
        machine=machine.describe(),
        servers={name: PEERS[name].version() for name in options.servers},
        began=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
    )
    field.prepare()
    names = options.names or list(ATTACKS)
    for number in range(options.rounds):
        found.floor_p99_ms.append(floor(field))
        for name in names:
            for server in rotated(options.servers, number):
                console.print(f"round {number + 1}/{options.rounds} {name}: {server}", style="dim")
                try:
                    found.add(name, server, measure(PEERS[server], ATTACKS[name], field))
                except (StartError, OSError, ValueError) as error:
                    found.failures.append(f"{name}, {server}: {error}")
                    console.print(f"[bold red]FAILED[/] {escape(found.failures[-1])}")
    return found


def show(found: table.Results, console: Console) -> None:
    """Print the table."""
    heads, *cells = table.rows(found)
    shown = Table()
    for at, head in enumerate(heads):
        shown.add_column(head, justify="left" if at in (0, 1, len(heads) - 1) else "right")
    for each in cells:
        shown.add_row(*each, style="bold" if each[1] == SERVERS[0] else "")
    console.print(shown)


def main(given: Sequence[str]) -> int:
    """Attack; return the exit status."""
    options = parse(given)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    make_ready()
    try:
        native.require("prlimit", "util-linux")
        require_two_cores()
        with tempfile.TemporaryDirectory(prefix="attack-") as directory, none_left():
            found = run(options, Field(Path(directory), options.seconds), console)
    except native.MissingToolError as error:
        console.print(f"[bold red]tests/attack/run[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running, nothing was written.")
        return 130
    show(found, console)
    if options.write and not found.failures:
        write(OUTPUT, found.as_json())
        table.update(PAGE, found)
        console.print(f"Written to {OUTPUT.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
