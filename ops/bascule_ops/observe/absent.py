"""What can be said of a stack whose parts nobody can ask: what the container engine knows of it.

With containers everybody is asked from within the server's. Where that does not run, the engine has
a line for each container: service, state, exit status, whether it was killed for want of memory,
and since when (RFC 3339). Standard library only: it is this machine's Python that runs it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bascule_ops.observe import disks, machine_checks, process_checks, snapshot
from bascule_ops.observe.findings import Check, bad, good
from bascule_ops.observe.settings import Settings
from bascule_ops.observe.status import NOT_RUNNING, UNHEALTHY, findings, rooms, verdict
from bascule_ops.program import named, spelled
from bascule_ops.text.colour import paint
from bascule_ops.text.units import duration

SERVICES: Final = ("nginx", "server")  # without one of them nothing is served
ROOT: Final = Path(__file__).parents[3]
# What the engine's states mean, and what to do then.
STATES: Final = {
    "created": ("has not been started", "ops/up starts it"),
    "paused": ("stands still: somebody paused it", "docker compose unpause {service}"),
    "restarting": (
        "ends again and again",
        "ops/logs shows why; mend that, then ops/up, with --build where it was the code",
    ),
    "removing": ("is being removed", "ops/up makes it anew"),
    "dead": ("could not be removed", "ops/down, then ops/up"),
    "": ("is not there", "ops/up makes it"),
}


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine knows of a container."""

    service: str
    state: str
    exit_status: int
    needed_memory: bool
    finished: str


def containers(lines: Iterable[str]) -> Iterator[Container]:
    """Those that the engine's lines tell of."""
    for line in filter(str.strip, lines):
        service, state, exit_status, needed_memory, finished = line.split()
        yield Container(service, state, int(exit_status), needed_memory == "true", finished)


def judged(service: str, found: list[Container], now: datetime) -> Check:
    """Whether a service's container runs; if not, how it ended and what to do."""
    states = {each.state: each for each in found if each.service == service}
    if "running" in states:
        return good(service, f"the container of {service} runs")
    state, container = next(iter(states.items()), ("", None))
    if container is None or state != "exited":
        meaning, remedy = STATES.get(state, (f"is {state}", "ops/down, then ops/up"))
        remedy = remedy.format(service=service)
        return bad(service, f"the container of {service} {meaning}", remedy)
    # The engine has nanoseconds, Python microseconds.
    ended = datetime.fromisoformat(container.finished[:19] + "+00:00")
    ago = duration(max(0.0, (now - ended).total_seconds()))
    words = f"the container of {service} ended {ago} ago, with exit status {container.exit_status}"
    if container.needed_memory:
        return bad(
            service,
            f"{words}: it needed more memory than it may have",
            f"give it more ({service.upper()}_MEMORY), or ops/runbooks/memory.md; ops/up starts it",
        )
    return bad(service, words, "ops/logs shows its last words; ops/up starts it")


def document(
    found: list[Container], workers: int, reason: str, remedy: str = "ops/up starts it"
) -> dict[str, Any]:
    """The snapshot of a stack of which the engine tells these containers.

    Args:
        found: its containers; none where no stack runs at all.
        workers: how many there should be.
        reason: why nothing runs; for where there are no containers.
        remedy: for that.
    """
    here = Settings(
        mode="docker", run_dir=ROOT, supervisor_dir=ROOT, workers=workers, nginx="not asked"
    )
    made = snapshot.unasked(here, "its container does not run" if found else reason)
    made["mode"] = "docker" if found else "none"
    made["nginx"]["up"] = any(each == ("nginx", "running") for each in map(_place, found))
    made["disk"], made["errors"]["disk"] = disks.read((), (ROOT,)), None
    now = datetime.now(UTC)
    if found:
        judgements = [judged(service, found, now) for service in SERVICES]
        judgements += process_checks.cut_off(made)
    else:
        judgements = [bad("stack", reason, remedy)]
    made["checks"] = list(map(asdict, [*judgements, *machine_checks.disk(made)]))
    return made


def _place(container: Container) -> tuple[str, str]:
    return container.service, container.state


def tell(engine: str, workers: int, reason: str, arguments: argparse.Namespace) -> int:
    """Print the status; return the exit status.

    Args:
        engine: what it knows of the containers.
        workers: how many there should be.
        reason: why nothing runs.
        arguments: those of the command.
    """
    found = list(containers(engine.splitlines()))
    made = document(found, workers, reason)
    if arguments.json:
        print(json.dumps(made))
    elif found:
        colour = paint(arguments.colour)
        print("\n".join([verdict(made, colour), *findings(made, colour), "", *rooms(made)]))
    if any(each.state == "running" for each in found):
        return UNHEALTHY
    print(f"{named('status')}: {reason}; {named('up')} starts it", file=sys.stderr)
    return NOT_RUNNING


def tell_unknown(workers: int, reason: str, remedy: str, arguments: argparse.Namespace) -> int:
    """Print that nobody can be asked; return the exit status.

    Args:
        workers: how many there should be.
        reason: why.
        remedy: what to do.
        arguments: those of the command.
    """
    if arguments.json:
        print(json.dumps(document([], workers, reason, remedy)))
    print(f"{named('status')}: {reason}; {spelled(remedy)}", file=sys.stderr)
    return UNHEALTHY
