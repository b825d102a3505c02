"""The soak; ``tests/soak/run --help`` says how it is used."""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.harness.argument_types import number_between
from tests.load.background import BackgroundLoad
from tests.soak.faults import FAULTS, RESTART, Faults
from tests.soak.samples import MEBIBYTE, Sampler, of_worker, slope
from tests.soak.stack import Stack, StackError

WORKERS: Final = 2
RATE: Final = 100.0  # ordinary requests a second
MINUTES: Final = 20.0
LONGEST_MINUTES: Final = 24 * 60.0
# Between two faults (seconds): a sixtieth of the whole, but no less than this and no more.
SHORTEST_GAP: Final = 1.0
LONGEST_GAP: Final = 60.0
# Between two restarts (seconds): a process lives long enough to be seen growing. One in any case.
RESTART_GAP: Final = 3600.0
SAMPLE_SECONDS: Final = 2.0


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the options; exits with status 2 where one is wrong."""
    parser = argparse.ArgumentParser(
        prog="tests/soak/run",
        description="Puts a mixed load (GET, POST, slow calls, uploads, downloads) on a local "
        "stack of its own for some time, with restarts and faults in between, and tells which "
        "requests failed and how the workers' memory and descriptors grow.",
        epilog="faults: " + ", ".join([*FAULTS, RESTART]) + "\n\nexit status: 0 nothing failed "
        "that must not; 1 something did, or the stack did not start; 2 wrong arguments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "minutes",
        nargs="?",
        type=number_between(0.1, LONGEST_MINUTES),
        default=MINUTES,
        help=f"default: {MINUTES:g}",
    )
    parser.add_argument("--rate", type=float, default=RATE, help="ordinary requests a second")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args(given)


@dataclass
class Soak:
    """One run: what was done, and what was seen."""

    stack: Stack
    load: BackgroundLoad
    faults: Faults
    sampler: Sampler = field(default_factory=Sampler)

    def run(self, seconds: float, tell: Callable[[str], None]) -> None:
        """Do the faults in turn until the time is over, looking at the workers all the while."""
        gap = min(LONGEST_GAP, max(SHORTEST_GAP, seconds / 60))
        began = time.monotonic()
        turns = itertools.cycle(FAULTS)
        count = max(1, int(seconds / RESTART_GAP))
        restarts = [began + seconds * number / (count + 1) for number in range(1, count + 1)]
        fault = "none yet"
        while (now := time.monotonic()) - began < seconds:
            if restarts and now >= restarts[0]:
                restarts.pop(0)
                fault = RESTART
                self._restart()
            else:
                fault = next(turns)
                self.faults.do(fault)
            tell(self._progress(now - began, fault))
            end = min(time.monotonic() + gap, began + seconds)
            while time.monotonic() < end:
                self.sampler.look(self.stack.workers(), time.monotonic())
                time.sleep(max(0.0, min(SAMPLE_SECONDS, end - time.monotonic())))
        self.faults.finish()

    def _restart(self) -> None:
        self.faults.done[RESTART] = self.faults.done.get(RESTART, 0) + 1
        try:
            self.stack.run("ops/restart")
        except StackError as error:
            self.faults.note(str(error))

    def _progress(self, seconds: float, fault: str) -> str:
        account = self.load.account
        failed = [each for each in list(account.failures) if not self.faults.excuse(each)]
        return (
            f"{seconds / 60:6.1f} min {account.right.total():>10,} right, {len(failed)} failed, "
            f"{len(account.failures) - len(failed)} excused; last: {fault}"
        )

    def report(self, seconds: float) -> dict[str, Any]:
        """Return what was found, in JSON's types."""
        account = self.load.account
        failed: Counter[str] = Counter()
        excused: Counter[str] = Counter()
        for each in account.failures:
            what = f"{each.kind.method} {each.kind.name}: {each.reason}"
            if excuse := self.faults.excuse(each):
                excused[f"{what} ({excuse})"] += 1
            else:
                failed[what] += 1
        return {
            "minutes": round(seconds / 60, 2),
            "requests": account.sent.total(),
            "right": account.right.total(),
            "accounted_for": account.is_complete,
            "failed": dict(failed),
            "excused": dict(excused),
            "longest_pause_s": round(account.longest_pause, 3),
            "own_stall_s": round(account.own_stall, 3),
            "faults": self.faults.done,
            "wrong": self.faults.wrong,
            "workers": {name: self._worker(name) for name in self._names()},
        }

    def _names(self) -> list[str]:
        return sorted({each.worker for each in self.sampler.samples})

    def _worker(self, name: str) -> dict[str, Any]:
        samples = of_worker(self.sampler.samples, name)
        memory = slope(samples, "memory", MEBIBYTE)
        descriptors = slope(samples, "descriptors")
        return {
            "processes": len({each.pid for each in samples}),
            "memory_mib": round(samples[-1].memory / MEBIBYTE, 1),
            "most_memory_mib": round(max(each.memory for each in samples) / MEBIBYTE, 1),
            "memory_mib_an_hour": memory and [round(memory.an_hour, 2), round(memory.within, 2)],
            "descriptors": samples[-1].descriptors,
            "most_descriptors": max(each.descriptors for each in samples),
            "descriptors_an_hour": descriptors
            and [round(descriptors.an_hour, 2), round(descriptors.within, 2)],
        }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    found = [
        f"{report['minutes']:g} min, {report['requests']:,} requests, {report['right']:,} right, "
        f"{sum(report['failed'].values())} failed, {sum(report['excused'].values())} excused",
        f"longest pause of ordinary requests: {report['longest_pause_s']:g} s (the load's own "
        f"longest stall: {report['own_stall_s']:g} s)",
        "done: " + ", ".join(f"{count} x {name}" for name, count in report["faults"].items()),
    ]
    found += [f"FAILED   {count} x {what}" for what, count in report["failed"].items()]
    found += [f"WRONG    {what}" for what in report["wrong"]]
    found += [f"excused  {count} x {what}" for what, count in report["excused"].items()]
    if not report["accounted_for"]:
        found.append("FAILED   requests that nobody knows the end of")
    found.append(
        f"{'worker':<12}{'processes':>10}{'MiB':>8}{'most':>8}{'MiB/h':>18}{'files':>8}"
        f"{'most':>8}{'files/h':>18}"
    )
    for name, worker in report["workers"].items():
        found.append(
            f"{name:<12}{worker['processes']:>10}{worker['memory_mib']:>8}"
            f"{worker['most_memory_mib']:>8}{_slope(worker['memory_mib_an_hour']):>18}"
            f"{worker['descriptors']:>8}{worker['most_descriptors']:>8}"
            f"{_slope(worker['descriptors_an_hour']):>18}"
        )
    return found


def _slope(pair: Sequence[float] | None) -> str:
    return "too short" if pair is None else f"{pair[0]:+.1f} ± {pair[1]:.1f}"


def _teller() -> Callable[[str], None]:
    """Return what shows progress: on a terminal in one line, elsewhere a line each."""
    is_terminal = sys.stderr.isatty()

    def tell(text: str) -> None:
        print(f"\r\033[K{text}" if is_terminal else text, end="" if is_terminal else "\n")
        sys.stdout.flush()

    return tell


def main(given: Sequence[str]) -> int:
    """Soak; return the exit status."""
    options = parse(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seconds = options.minutes * 60
    tell: Callable[[str], None] = (lambda _text: None) if options.json else _teller()
    try:
        with Stack(WORKERS) as stack:
            with BackgroundLoad(stack.port, rate=options.rate) as load:
                soak = Soak(stack, load, Faults(stack))
                began = time.monotonic()
                try:
                    soak.run(seconds, tell)
                except KeyboardInterrupt:
                    soak.faults.leave()
                    print("\nInterrupted; this is what was found until then.", file=sys.stderr)
                lasted = time.monotonic() - began
            report = soak.report(lasted)
    except StackError as error:
        print(f"tests/soak/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nops/soak: interrupted before there was anything to report.", file=sys.stderr)
        return 130
    print(json.dumps(report, indent=1) if options.json else "\n" + "\n".join(lines(report)))
    is_well = report["accounted_for"] and not report["failed"] and not report["wrong"]
    return 0 if is_well and report["right"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
