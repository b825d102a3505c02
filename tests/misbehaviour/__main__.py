"""``tests/misbehaviour/run --help`` says how it is used."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence

from tests.misbehaviour import table
from tests.misbehaviour.cases import Case, all_cases
from tests.misbehaviour.drive import Verdict, judge_all
from tests.misbehaviour.mechanisms import without
from tests.misbehaviour.servers import BASCULE, GUNICORN, SERVERS

HELP = """\
Applications that misbehave, one a file in tests/misbehaviour/applications. Each is run under a
server with one worker and four threads, while a probe asks for another path every 50 ms. The
worker must live, every probe must be answered, and the misbehaviour must be in the log.
"""


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        prog="tests/misbehaviour/run",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="applications; all by default")
    parser.add_argument(
        "--server", choices=SERVERS, default=BASCULE, help="what serves them (default: bascule)"
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="run them under every server, and write docs/misbehaviour.md's table",
    )
    parser.add_argument(
        "--at-once", type=int, default=2, metavar="N", help="servers at a time (default: 2)"
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="run each under our own server without the mechanism that bears it: each must fail",
    )
    parser.add_argument("--log", action="store_true", help="show the log of those that fail")
    arguments = parser.parse_args(given)
    if arguments.table and arguments.names:
        parser.error("--table is of all applications")
    return arguments


def run(cases: Sequence[Case], server: str, arguments: argparse.Namespace) -> dict[str, Verdict]:
    """Run cases under a server, print what was seen, and return it by name."""
    found: dict[str, Verdict] = {}

    def on_verdict(case: Case, verdict: Verdict) -> None:
        found[case.name] = verdict
        print(f"{server:8} {case.name:32} {table.words(case, verdict)}", flush=True)
        if verdict.faults and arguments.log:
            print(verdict.log, flush=True)

    asyncio.run(judge_all(cases, server, arguments.at_once, on_verdict))
    return found


def prove(cases: Sequence[Case], at_once: int) -> list[str]:
    """Run cases without what bears them; return the names of those that pass all the same."""
    passed: list[str] = []

    def on_verdict(case: Case, verdict: Verdict) -> None:
        if not verdict.faults:
            passed.append(case.name)
        shown = "; ".join(verdict.faults) or "PASSES"
        print(f"{case.name:32} without {case.borne_by}: {shown}", flush=True)

    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(without(name)) for name in {each.borne_by for each in cases}
        }
        asyncio.run(
            judge_all(cases, BASCULE, at_once, on_verdict, lambda case: servers[case.borne_by])
        )
    return passed


def is_spared_elsewhere(case: Case, found: Mapping[str, Mapping[str, Verdict]]) -> bool:
    """Return whether a case ends our own worker, and not gunicorn's."""
    return found[BASCULE][case.name].ended and not found[GUNICORN][case.name].ended


def main(given: Sequence[str]) -> int:
    """Run what was asked for; return 0 where our own server bears it all."""
    arguments = parse(given)
    known = all_cases()
    if unknown := set(arguments.names) - set(known):
        print(f"tests/misbehaviour/run: no such application: {', '.join(sorted(unknown))}")
        return 2
    cases = [known[name] for name in arguments.names or known]
    if arguments.prove:
        return int(bool(prove(cases, arguments.at_once)))
    servers = SERVERS if arguments.table else (arguments.server,)
    found = {server: run(cases, server, arguments) for server in servers}
    if arguments.table:
        table.write(table.PAGE, cases, found)
        if spared := [each.name for each in cases if is_spared_elsewhere(each, found)]:
            print(f"These end our worker, and not gunicorn's: {', '.join(spared)}")
            return 1
    return int(any(each.faults for each in found.get(BASCULE, {}).values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
