"""``python -m tests.drill``: every operation under a load of 20,000 requests, as a table."""

from __future__ import annotations

import argparse
import sys

from tests.drill.case import run
from tests.drill.cases import CASES
from tests.ops.harness import Tree

HEADER = f"{'case':<42}{'requests':>9}{'failed':>7}{'excused':>8}{'pause s':>9}{'slowest s':>10}{'own stall s':>12}"


def main() -> int:
    """Run the cases that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drill",
        description="Does each operation to a stack of its own, in local mode, under a load that "
        "accounts for every request. Exit status 1 when one failed that may not.",
    )
    parser.add_argument("case", nargs="*", help=", ".join(f'"{case.name}"' for case in CASES))
    parser.add_argument("--requests", type=int, default=20_000, help="of each case (20000)")
    parser.add_argument("--rate", type=float, default=400, help="ordinary ones a second (400)")
    arguments = parser.parse_args()
    names = {case.name for case in CASES}
    if unknown := set(arguments.case) - names:
        parser.error(f"no such case: {', '.join(unknown)}")
    failed = False
    # One virtual environment for all.
    first = Tree()
    first.run("ops/up", "--local")
    first.run("ops/down")
    print(HEADER)
    for case in CASES:
        if arguments.case and case.name not in arguments.case:
            continue
        tree = Tree(first.root / ".venv-run")
        try:
            outcome = run(case, tree, arguments.requests, arguments.rate)
        finally:
            tree.remove()
        account = outcome.account
        print(
            f"{case.name:<42}{account.sent.total():>9}{len(outcome.unexcused):>7}"
            f"{len(outcome.excused):>8}{account.longest_pause:>9.3f}{account.slowest:>10.3f}"
            f"{account.own_stall:>12.3f}",
            flush=True,
        )
        if outcome.unexcused:
            failed = True
            print(outcome.explain(), file=sys.stderr)
    first.remove()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
