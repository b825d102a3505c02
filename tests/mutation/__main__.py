"""Changes that tests should notice; ``tests/mutation/run --help`` says how it is used."""

from __future__ import annotations

import argparse
import json
import queue
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.argument_types import whole_number_up_to
from tests.harness.processes import ROOT
from tests.mutation import results, verdicts
from tests.mutation.copies import PACKAGE
from tests.mutation.covering import INTEGRATION, KEPT, UNIT, covering
from tests.mutation.hunt import Hunter, Outcome
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.server import ServerError
from tests.mutation.verdicts import VerdictError, Verdicts

PROGRAM: Final = "tests/mutation/run"
SURVIVORS: Final = KEPT / "survivors.json"


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the options; exits with status 2 where one is wrong."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Changes the server's code in one place after another (a comparison, a not, an "
        "and, a number, a statement left out, and so on), and runs the tests that run that place: "
        "first those that start no process, then those of tests/integration. Tells which change "
        "none of them notices. The tree is not touched: all happens in a copy. The first run "
        "finds out which tests run which lines (20 minutes) and keeps it in .mutation/.",
        epilog="exit status: 0 every change is noticed, or has its verdict in "
        "tests/mutation/verdicts.toml; 1 one has not, or a verdict is not needed any more; 2 wrong "
        "arguments, or a verdict is wrong; 3 the tests could not be run",
    )
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help="engine, or engine/connection.py, or config.py; default: all",
    )
    parser.add_argument(
        "--sample", type=whole_number_up_to(None), metavar="N", help="try so many, taken at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is taken (default: 0)")
    parser.add_argument(
        "--jobs", type=whole_number_up_to(64), default=1, help="at a time (default: 1)"
    )
    parser.add_argument(
        "--unit", action="store_true", help="ask only the tests that start no process"
    )
    parser.add_argument(
        "--survivors", action="store_true", help="only what survived when it was tried last"
    )
    parser.add_argument(
        "--new", action="store_true", help="leave out what has a verdict", dest="only_new"
    )
    parser.add_argument("--line", type=int, help="only changes to this line")
    parser.add_argument("--list", action="store_true", help="list the changes, and try none")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write tests/mutation/results.md; with whole modules only",
    )
    options = parser.parse_args(given)
    chosen = [options.sample, options.survivors, options.line, options.only_new, options.unit]
    if options.write and any(chosen):
        parser.error("--write is for whole modules, and all tests")
    return options


def modules(named: Sequence[str]) -> list[str]:
    """Return the modules of the package that are named, or are in rooms that are.

    Raises:
        LookupError: there is none.
    """
    package = ROOT / PACKAGE
    every = sorted(str(path.relative_to(package)) for path in package.rglob("*.py"))
    if not named:
        return every
    found = []
    for name in named:
        plain = name.removeprefix(f"{PACKAGE}/").rstrip("/")
        some = [each for each in every if each == plain or each.startswith(f"{plain}/")]
        if not some:
            raise LookupError(f"{name} is no module or room of {PACKAGE}")
        found += some
    return found


@dataclass
class Hunt:
    """Changes that are tried, and what came of each."""

    known: Verdicts
    tell: Callable[[str], None]
    outcomes: list[tuple[Mutant, Outcome]] = field(default_factory=list)

    def run(self, chosen: Sequence[Mutant], jobs: int, *, with_integration: bool) -> None:
        """Try changes."""
        waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for each in chosen:
            waiting.put(each)
        directories = (*UNIT, *INTEGRATION) if with_integration else UNIT
        self.tell("copying the tree")
        with Hunter(with_integration=with_integration) as first:
            first.covering = covering(first.copy, first.server, directories, self.tell)
            began, total = time.monotonic(), len(chosen)
            failed: list[BaseException] = []

            def work(hunter: Hunter) -> None:
                while not failed:
                    try:
                        mutant = waiting.get_nowait()
                    except queue.Empty:
                        return
                    self._note(mutant, hunter.attempt(mutant), total, began)

            def work_too() -> None:
                try:
                    with Hunter(with_integration=with_integration) as other:
                        other.covering = first.covering
                        work(other)
                except BaseException as error:
                    failed.append(error)

            others = [threading.Thread(target=work_too) for _ in range(jobs - 1)]
            for thread in others:
                thread.start()
            try:
                work(first)
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                for thread in others:
                    thread.join()
            if failed:
                raise failed[0]

    def _note(self, mutant: Mutant, outcome: Outcome, total: int, began: float) -> None:
        self.outcomes.append((mutant, outcome))
        done = len(self.outcomes)
        if outcome.survived and mutant.key not in self.known.reasons:
            tests = f"{outcome.tests} tests" if outcome.tests else "no test runs it"
            self.tell("")
            print(f"{PACKAGE}/{mutant.module}:{mutant.line} {mutant.name} ({tests})")
            print(f"    - {mutant.before}\n    + {mutant.after}", flush=True)
        left = (time.monotonic() - began) / done * (total - done)
        count = sum(each.survived for _, each in self.outcomes)
        self.tell(f"{done} of {total}, {count} not noticed, {left / 60:.0f} min left")

    @property
    def survivors(self) -> list[Mutant]:
        """Those that no test noticed."""
        return [mutant for mutant, outcome in self.outcomes if outcome.survived]

    def rows(self) -> list[results.Row]:
        """Return the table's rows."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for mutant, outcome in self.outcomes:
            is_known = mutant.key in self.known.reasons
            counts[mutant.module][0 if not outcome.survived else 1 if is_known else 2] += 1
        return [results.Row(module, *found) for module, found in sorted(counts.items())]

    def keep(self) -> None:
        """Keep who survived, for ``--survivors``."""
        tried = {mutant.key for mutant, _ in self.outcomes}
        before = {tuple(key) for key in _kept()} - tried
        KEPT.mkdir(exist_ok=True)
        now = before | {mutant.key for mutant in self.survivors}
        SURVIVORS.write_text(json.dumps(sorted(now), indent=1))


def _kept() -> list[list[str]]:
    found: list[list[str]] = json.loads(SURVIVORS.read_text()) if SURVIVORS.exists() else []
    return found


def choose(options: argparse.Namespace, every: Iterable[Mutant], known: Verdicts) -> list[Mutant]:
    """Return the changes that the options ask for."""
    found = list(every)
    if options.line is not None:
        found = [each for each in found if options.line in each.lines]
    if options.survivors:
        kept = {tuple(key) for key in _kept()}
        found = [each for each in found if each.key in kept]
    if options.only_new:
        found = [each for each in found if each.key not in known.reasons]
    if options.sample is not None and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)
    return found


def _teller() -> Callable[[str], None]:
    """Return what shows progress: on a terminal in one line, elsewhere now and then one."""
    is_terminal = sys.stderr.isatty()
    last = [0.0]

    def tell(text: str) -> None:
        if is_terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif text and time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return tell


def main(given: Sequence[str]) -> int:
    """Try changes; return the exit status."""
    options = parse(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        known = verdicts.read(verdicts.FILE.read_text())
        named = modules(options.modules)
    except (VerdictError, LookupError) as error:
        print(f"{PROGRAM}: {error.args[0]}", file=sys.stderr)
        return 2
    every = [each for name in named for each in mutants(name, _text(name))]
    chosen = choose(options, every, known)
    if options.list:
        for each in chosen:
            print(f"{each.module}:{each.line} {each.name}\n    - {each.before}\n    + {each.after}")
        return 0
    tell = _teller()
    hunt = Hunt(known, tell)
    interrupted = False
    try:
        hunt.run(chosen, options.jobs, with_integration=not options.unit)
    except ServerError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        interrupted = True
        print("\nInterrupted; this is what was found until then.", file=sys.stderr)
    tell("")
    hunt.keep()
    rows = hunt.rows()
    for row in rows:
        print(f"{row.module:<28}{row.changes:>6} changes, {row.killed} noticed, ", end="")
        print(f"{row.known} with a verdict, {row.new} new")
    is_whole = len(hunt.outcomes) == len(every)
    unneeded = known.unneeded(every, hunt.survivors) if is_whole and not options.unit else []
    for module, name, before, after in unneeded:
        print(f"The verdict is not needed: {module} {name}\n    - {before}\n    + {after}")
    if options.write and is_whole:
        text = results.FILE.read_text() if results.FILE.exists() else ""
        results.FILE.write_text(results.written(text, rows))
    if interrupted:
        return 130
    return 1 if unneeded or any(row.new for row in rows) else 0


def _text(module: str) -> str:
    return Path(ROOT / PACKAGE / module).read_text()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
