"""``python -m tests.drill``: every operation under a load of 20,000 requests, as a table."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.drill import containers, local
from tests.drill.case import Outcome, run
from tests.drill.cases import IN_CONTAINERS, LOCAL
from tests.drill.containers import Containers
from tests.drill.local import Local

HEADER = f"{'case':<42}{'requests':>9}{'failed':>7}{'excused':>8}{'pause s':>9}{'slowest s':>10}{'own stall s':>12}"


def row(name: str, outcome: Outcome) -> str:
    """Return a case's line of the table."""
    account = outcome.account
    return (
        f"{name:<42}{account.sent.total():>9}{len(outcome.unexcused):>7}"
        f"{len(outcome.excused):>8}{account.longest_pause:>9.3f}{account.slowest:>10.3f}"
        f"{account.own_stall:>12.3f}"
    )


def main() -> int:
    """Run the cases that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drill",
        description="Does each operation to a stack of its own under a load that accounts for "
        "every request. Exit status 1 when one failed that may not.",
    )
    names = ", ".join(f'"{case.name}"' for case in IN_CONTAINERS)
    parser.add_argument("case", nargs="*", help=f"all, or some of {names}")
    parser.add_argument(
        "--docker", action="store_true", help="containers of this machine's engine; else local mode"
    )
    parser.add_argument("--requests", type=int, default=20_000, help="of each case (20000)")
    parser.add_argument("--rate", type=float, default=400, help="ordinary ones a second (400)")
    arguments = parser.parse_args()
    cases = IN_CONTAINERS if arguments.docker else LOCAL
    if unknown := set(arguments.case) - {case.name for case in cases}:
        parser.error(f"no such case: {', '.join(unknown)}")
    failed = False
    # Whoever ends it finds no stack left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stacks = containers.maker(Containers) if arguments.docker else local.maker(Local)
    with stacks as make:
        print(HEADER)
        for case in cases:
            if arguments.case and case.name not in arguments.case:
                continue
            stack = make()
            try:
                outcome = run(case, stack, arguments.requests, arguments.rate)
            finally:
                stack.remove()
            print(row(case.name, outcome), flush=True)
            if outcome.unexcused:
                failed = True
                print(outcome.explain(), file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
