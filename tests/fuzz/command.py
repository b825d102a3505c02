"""The long fuzz: ``tests/fuzz/run``."""

from __future__ import annotations

import argparse
import ast
import contextlib
import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.queues import Queue
from queue import Empty
from random import Random

from tests.fuzz import behind_nginx, corpus
from tests.fuzz.compare import Finding
from tests.fuzz.generate import Generator
from tests.fuzz.hunt import Found, Report, finding_of, hunt, names
from tests.harness.nginx import binaries

# Seconds between lines of progress.
_PROGRESS = 10.0
# Seconds without a report after which the jobs are looked at.
_PATIENCE = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz as told; return 1 where something was found."""
    options = _parse(arguments)
    if options.replay is not None:
        return _replay(options.replay)
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    if options.behind_nginx:
        return _behind_nginx(seed, options.inputs, options.seconds)
    seconds = 60.0 if options.seconds is None and options.inputs is None else options.seconds
    print(f"seed {seed}, {options.jobs} jobs", flush=True)
    began = time.monotonic()
    inputs, explained, found = _collect(_run(seed, options.jobs, options.inputs, seconds), began)
    print(f"\n{inputs:,} inputs in {time.monotonic() - began:.0f} s")
    for name in names():
        print(f"{explained[name]:>10,}  {name}")
    for each in found.values():
        _print(each)
    print(f"{len(found)} findings" if found else "No unexplained difference, and no other finding.")
    return 1 if found else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/fuzz/run",
        description="Compare the server's parser with llhttp and h11 on generated streams.",
        epilog="Without a length it runs for 60 seconds. Status 1: something was found.",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, metavar="N")
    length.add_argument("--inputs", type=int, metavar="N", help="streams, over all jobs")
    parser.add_argument(
        "--behind-nginx",
        action="store_true",
        help="through a real nginx to a real worker: both must see the same requests; in one job",
    )
    length.add_argument("--replay", metavar="LITERAL", help="check one stream: \"b'GET / ...'\"")
    parser.add_argument("--seed", type=int, metavar="S", help="a new one each time by default")
    parser.add_argument(
        "--jobs", type=int, metavar="J", default=len(os.sched_getaffinity(0)), help="one a core"
    )
    return parser.parse_args(arguments)


def _behind_nginx(seed: int, inputs: int | None, seconds: float | None) -> int:
    """Send streams through the first nginx of this machine; return 1 where something was found."""
    if inputs is None and seconds is None:
        seconds = 60.0
    binary = binaries()[0]
    print(f"seed {seed}, {binary}", flush=True)
    streams = Generator(Random(seed), list(corpus.streams().values()))
    outcome = behind_nginx.Outcome()
    told = time.monotonic()
    with behind_nginx.pair(binary) as running:
        try:
            for outcome in behind_nginx.run(
                running, iter(streams.stream, None), inputs=inputs, seconds=seconds
            ):
                if time.monotonic() - told >= _PROGRESS:
                    told = time.monotonic()
                    print(f"{outcome.streams:>12,} streams", flush=True)
        except Finding as finding:
            print(f"\nFOUND {finding}")
            print(f"  again:     tests/fuzz/run --behind-nginx --seed {seed} --inputs N")
            return 1
        except KeyboardInterrupt:
            pass
    print(outcome)
    return 0


def _replay(literal: str) -> int:
    try:
        stream = ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        stream = None
    if not isinstance(stream, bytes):
        print("--replay takes a bytes literal: \"b'GET / HTTP/1.1\\r\\n...'\"", file=sys.stderr)
        return 2
    finding = finding_of(stream)
    print("All holds." if finding is None else finding)
    return 0 if finding is None else 1


def _run(seed: int, jobs: int, inputs: int | None, seconds: float | None) -> Iterator[Report]:
    """Yield the reports of all jobs; job ``n`` has the seed ``seed + n``."""
    context = multiprocessing.get_context("spawn")
    queue: Queue[Report] = context.Queue()
    processes = []
    for job in range(jobs):
        share = None if inputs is None else inputs // jobs + (job < inputs % jobs)
        process = context.Process(target=_job, args=(queue, seed + job, share, seconds))
        process.start()
        processes.append(process)
    running = jobs
    try:
        while running:
            try:
                report = queue.get(timeout=_PATIENCE)
            except Empty:
                if any(process.exitcode for process in processes):
                    raise RuntimeError("a job has ended early; its message is above") from None
                continue
            running -= report.done
            yield report
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _job(queue: Queue[Report], seed: int, inputs: int | None, seconds: float | None) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        for report in hunt(seed, inputs, seconds):
            queue.put(report)
        queue.close()
        queue.join_thread()


def _collect(reports: Iterator[Report], began: float) -> tuple[int, Counter[str], dict[str, Found]]:
    """Add the reports up, telling progress; Ctrl-C ends it early."""
    inputs = 0
    explained: Counter[str] = Counter()
    found: dict[str, Found] = {}
    told = began
    with contextlib.suppress(KeyboardInterrupt):
        for report in reports:
            inputs += report.inputs
            explained += report.explained
            for each in report.found:
                found.setdefault(each.kind, each)
            now = time.monotonic()
            if now - told >= _PROGRESS:
                told = now
                rate = inputs / (now - began)
                print(f"{now - began:6.0f} s {inputs:>12,} inputs {rate:>8,.0f}/s", flush=True)
    return inputs, explained, found


def _print(found: Found) -> None:
    print(f"\nFOUND {found.text}")
    print(f"  stream:    {found.stream!r}")
    print(f'  again:     tests/fuzz/run --replay "{found.stream!r}"')
    print("  and where it takes what came before it:")
    print(f"             tests/fuzz/run --seed {found.seed} --jobs 1 --inputs {found.number}\n")
