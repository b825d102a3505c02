"""The command line of ``tests/bench/run``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.peers import BEFORE, PEERS
from tests.bench.population import PopulationError, read
from tests.bench.scenarios import SCENARIOS
from tests.harness.argument_types import number_between, whole_number_up_to
from tests.harness.processes import ROOT

# Together they make a full run end within 40 minutes.
ROUNDS: Final = 5
SECONDS: Final = 1.0
WARM_UP_SECONDS: Final = 0.3

QUICK_SECONDS: Final = 0.4
QUICK_WARM_UP_SECONDS: Final = 0.1

OUTPUT: Final = ROOT / "docs" / "bench"

DESCRIPTION: Final = """\
Measures the server beside gunicorn, waitress, uWSGI, cheroot, granian, bjoern, fastwsgi and a
floor in C: same interpreter, one worker on one core, the load on another, rounds interleaved.
docs/bench/README.md says how to read the figures."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be measured, for how long, and where it is written (None: nowhere)."""

    scenarios: tuple[str, ...]
    servers: tuple[str, ...]
    rounds: int
    seconds: float
    warm_up: float
    population: Path | None
    before: str
    output: Path | None


def parse(given: Sequence[str]) -> Options:
    """Return the options; exits with status 2 where an argument is wrong."""
    parser = argparse.ArgumentParser(
        prog="tests/bench/run",
        description=DESCRIPTION,
        epilog=f"scenarios: {', '.join(SCENARIOS)}\n\nservers: {', '.join(PEERS)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("--only", type=_names(SCENARIOS), metavar="SCENARIO,...", help="these scenarios")
    option("--servers", type=_names(PEERS), metavar="SERVER,...", help="these servers")
    option(
        "--rounds",
        type=whole_number_up_to(None),
        metavar="N",
        help=f"of everything (default: {ROUNDS})",
    )
    option(
        "--seconds",
        type=number_between(0.1, 60),
        help=f"for each measurement (default: {SECONDS:g})",
    )
    option(
        "--population",
        type=_population,
        metavar="FILE",
        help="what traffic replays, in place of the population made here: records, each a length "
        "of 4 bytes, big-endian, and the bytes of one request",
    )
    option(
        "--before",
        metavar="COMMIT",
        default="",
        help=f"measure Bascule of an earlier commit as well, as the server {BEFORE!r}",
    )
    option(  # `run` has heeded it
        "--python",
        metavar="PYTHON",
        help="the interpreter of every server, by its release (3.13) or its path (default: the "
        "system's where it is new enough)",
    )
    option("--quick", action="store_true", help="one short round, to see that it works")
    option(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="for results.json and the charts (default: docs/bench for a whole run; a part of "
        "one, or a quick one, writes nothing)",
    )
    found = parser.parse_args(given)
    if found.servers and BEFORE in found.servers and not found.before:
        parser.error(f"the server {BEFORE!r} needs --before COMMIT")
    is_whole = not (found.quick or found.only or found.servers or found.population)
    return Options(
        scenarios=found.only or tuple(SCENARIOS),
        servers=_servers(found.servers, found.before),
        rounds=found.rounds or (1 if found.quick else ROUNDS),
        seconds=found.seconds or (QUICK_SECONDS if found.quick else SECONDS),
        warm_up=QUICK_WARM_UP_SECONDS if found.quick else WARM_UP_SECONDS,
        population=found.population,
        before=found.before,
        output=found.output or (OUTPUT if is_whole else None),
    )


def _servers(chosen: tuple[str, ...] | None, before: str) -> tuple[str, ...]:
    wanted = {BEFORE, *chosen} if chosen and before else set(chosen or PEERS)
    return tuple(name for name in PEERS if name in wanted and (before or name != BEFORE))


def _population(value: str) -> Path:
    path = Path(value)
    try:
        read(path.read_bytes())
    except (OSError, PopulationError) as error:
        raise argparse.ArgumentTypeError(f"{value}: {error}") from None
    return path


def _names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    choices = tuple(known)

    def parse_names(value: str) -> tuple[str, ...]:
        names = value.split(",")
        for name in names:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(choices)}")
        # In the order of the list, each once.
        return tuple(name for name in choices if name in names)

    return parse_names


def without_output(given: Sequence[str]) -> list[str]:
    """Return the arguments that say what is measured, but not where the figures go."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--output")
    return where.parse_known_args(given)[1]
