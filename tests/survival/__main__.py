"""``python -m tests.survival``: the matrix, or some of it, as a table."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator

from tests.drill import containers, local
from tests.faults.stack import may_mount
from tests.harness.processes import ROOT
from tests.survival.cell import TRUTH, Outcome, run
from tests.survival.faults import ALL, REMEDIES, Fault
from tests.survival.stacks import Containers, Local

FAULTS = (*ALL, *REMEDIES)
COLUMNS = ("fault", "workers", "mode", "sent", "lost", "missed", "told s", "well s", "remedy")
LAYOUT = "{:<36}{:>8}  {:<11}{:>6}{:>6}{:>7}{:>8}{:>8}  {}"
RESULTS = ROOT / "tests" / "survival" / "results.md"
ABOUT = """\
# What each fault costs, and whether its remedy helps

`tests/survival/run --write` writes this, at {commit}. Of the GETs that were sent, "lost" were not answered
right, and "missed" are those of them that nginx and a worker could have served: a witness asked both from
outside, all the time. "Told" is how long it took until `ops/status` told of the fault, or was right to say
that all is well; "well", how long until it said so after the end of the fault and of the remedy, which
was done as it is printed. What must not be stands below a row.

"""


def row(fault: Fault, workers: int, mode: str, outcome: Outcome) -> tuple[str, ...]:
    """Return a cell's line of the table."""
    told, well = (
        "never" if each is None else f"{each:.1f}" for each in (outcome.told, outcome.well)
    )
    counts = (outcome.sent, len(outcome.lost), len(outcome.missed))
    done = ", ".join(outcome.done)
    return fault.name, str(workers), mode, *map(str, counts), told, well, done


def cells(arguments: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Run the cells; yield each one's line, and what of it must not be."""
    for mode in arguments.mode or ("local", "containers"):
        is_local = mode == "local"
        with local.maker(Local) if is_local else containers.maker(Containers) as make:
            for fault in FAULTS:
                is_wanted = not arguments.fault or fault.name in arguments.fault
                if mode not in fault.modes or not is_wanted:
                    continue
                # What is done by hand costs the same however many they are.
                for workers in arguments.workers or ((1, 2, 4) if fault in ALL else (2,)):
                    stack = make()
                    try:
                        outcome = run(fault, stack, workers)
                    except Exception as error:  # the other cells are worth knowing
                        yield (fault.name, str(workers), mode), [f"{type(error).__name__}: {error}"]
                        continue
                    finally:
                        stack.remove()
                    late = ["told late"] if outcome.told and outcome.told > TRUTH else []
                    yield row(fault, workers, mode, outcome), outcome.faults + late


def main() -> int:
    """Run the cells that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.survival",
        description="Breaks a stack of its own in each way, under a load that accounts for every "
        "request, and does what its status says is to be done. Exit status 1 where a request was "
        "lost that could have been served, where the status did not tell within 5 s, or where the "
        "stack was not well again.",
    )
    names = "; ".join(fault.name for fault in FAULTS)
    parser.add_argument("fault", nargs="*", help=f"all, or some of: {names}")
    parser.add_argument("--mode", choices=("local", "containers"), action="append", help="or both")
    parser.add_argument("--workers", type=int, action="append", help="1, 2 and 4, or some of them")
    parser.add_argument("--write", action="store_true", help="the table, to tests/survival")
    arguments = parser.parse_args()
    if unknown := set(arguments.fault) - {fault.name for fault in FAULTS}:
        parser.error(f"no such fault: {', '.join(unknown)}")
    if not may_mount():
        parser.error("some faults are of disks that are full, and this user may not mount one")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(LAYOUT.format(*COLUMNS), flush=True)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    failed = False
    for line, faults in cells(arguments):
        filled = line + ("",) * (len(COLUMNS) - len(line))
        print(LAYOUT.format(*filled).rstrip(), flush=True)
        lines.append(f"| {' | '.join(filled)} |")
        for each in faults:
            failed = True
            print(f"    | {each}", flush=True)
            words = " ".join(each.split())[:300].replace("|", "/")
            lines.append(f"| {words} |" + " |" * (len(COLUMNS) - 1))
    if arguments.write:
        command = ("git", "rev-parse", "--short", "HEAD")
        commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        about = ABOUT.format(commit=commit.stdout.strip())
        RESULTS.write_text(about + "\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
