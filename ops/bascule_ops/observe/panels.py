"""The parts of the terminal view: a snapshot as tables and lines of rich."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bascule_ops.observe.figures import NONE, latency, rate
from bascule_ops.observe.findings import answering, count
from bascule_ops.observe.history import History
from bascule_ops.observe.running import in_flight, where
from bascule_ops.program import named
from bascule_ops.text.escape import visible
from bascule_ops.text.units import duration, size

MOST_ID: Final = 32  # characters of a request id; ours have as many
STYLES: Final = {
    "hung": "bold red",
    "no answer": "bold red",
    "error": "bold red",
    "critical": "bold red",
    "waiting": "yellow",
    "loading": "yellow",
    "draining": "yellow",
    "warning": "yellow",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which request in flight is chosen, and whether its stack is shown."""

    number: int = 0
    unfolded: bool = False


def place(frame: str) -> str:
    """A place in the code, its file by the last two parts of its path."""
    return "/".join(frame.rsplit("/", 2)[-2:])


def _table(
    *columns: str, gap: int, right: Iterable[str] = (), grow: Mapping[str, int] | None = None
) -> Table:
    """A table, `gap` spaces between its columns; those in `grow` share what is left."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            ratio=grow.get(name) if grow else None,
            max_width=MOST_ID if name == "ID" else None,
            no_wrap=True,
            overflow="ellipsis",
        )
    table.expand = grow is not None
    return table


def _state(name: str) -> Text:
    return Text(name, STYLES.get(name, ""))


def _safe(text: object) -> Text:
    """Text of a client or an application, with nothing in it that a terminal obeys."""
    return Text(visible(text or NONE))


def head(document: dict[str, Any]) -> RenderableType:
    """Which stack, at what time, and whether it is well."""
    failing = [check for check in document["checks"] if not check["ok"]]
    names = ", ".join(dict.fromkeys(check["name"] for check in failing))
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1, justify="right", no_wrap=True, overflow="ellipsis")
    what = Text.assemble(
        ("Bascule ", "bold"),
        (f"{document['version']}, {document['mode']}, {document['time'][11:19]} UTC", "dim"),
    )
    words = f"{count(len(failing), 'check fails', 'checks fail')}: {names}"
    verdict = Text("✓ healthy", "bold green") if not failing else Text(f"✗ {words}", "bold red")
    line.add_row(what, verdict)
    return line


def findings(document: dict[str, Any], *, fits: bool) -> list[Text]:
    """The checks that fail, each with its remedy: two lines where they must fit."""
    return [
        Text.assemble(
            (f"✗ {visible(check['message'])}", "red"),
            ("\n  remedy: ", "bold"),
            visible(check["remedy"]),
            no_wrap=fits,
            overflow="ellipsis",
        )
        for check in document["checks"]
        if not check["ok"]
    ]


def notes(document: dict[str, Any], *, fits: bool) -> list[Text]:
    """What is well, and worth telling: a line each."""
    return [
        Text(f"note: {visible(check['message'])}", "yellow", no_wrap=fits, overflow="ellipsis")
        for check in document["checks"]
        if check["note"]
    ]


def workers(history: History, most: int, gap: int) -> RenderableType:
    """A line for each worker."""
    numbers = ("UPTIME", "REQ/S", "SHARE", "P99", "BUSY", "WAITING", "CONNS", "MEMORY", "RESTARTS")
    table = _table("WORKER", "STATE", *numbers, gap=gap, right=numbers)
    now = history.now
    for worker in history.latest["workers"][:most]:
        own = now.workers.get(worker["worker"]) if now else None
        everything = now.total.requests if now else 0
        share = f"{own.requests / everything:.0%}" if own and everything else NONE
        restarts = str(worker["metrics"]["starts"] - 1) if worker["metrics"] else NONE
        rates = (rate(own.requests if own else None), share, latency(own.p99 if own else None))
        if "error" in worker:
            state, gauges = "no answer", [NONE] * 4
            uptime = NONE
            if (loading := worker.get("loading_s")) is not None:
                state, uptime = "loading", duration(loading)
        else:
            state, uptime = worker["state"], duration(worker["uptime_s"])
            gauges = [
                f"{worker['threads_busy']}/{worker['threads']}",
                str(worker["waiting"]),
                str(sum(worker["connections"].values())),
                size(worker["resident_bytes"]),
            ]
        table.add_row(_safe(worker["worker"]), _state(state), uptime, *rates, *gauges, restarts)
    return table


def requests(document: dict[str, Any], choice: Choice, most: int, gap: int) -> RenderableType:
    """The requests in flight around the chosen one."""
    found = in_flight(document)
    if not found:
        return Text("none", "dim")
    first = max(0, min(choice.number - most // 2, len(found) - most))
    columns = ("AGE", "STATE", "ID", "WORKER", "REQUEST", "WHERE")
    table = _table(*columns, gap=gap, right=("AGE",), grow={"REQUEST": 1, "WHERE": 1})
    for number, request in enumerate(found[first : first + most], start=first):
        table.add_row(
            duration(request["age_s"]),
            _state(request["state"]),
            _safe(request["request_id"]),
            _safe(request["worker"]),
            _safe(f"{request['method']} {request['path']}"),
            _safe(place(where(request)) if request["frames"] else NONE),
            style="reverse" if number == choice.number else "",
        )
    return table


def stack(document: dict[str, Any], choice: Choice, most: int) -> RenderableType | None:
    """Where the chosen request is, if that is asked for: the innermost frames, the last last."""
    found = in_flight(document)
    if not choice.unfolded or not found:
        return None
    request = found[min(choice.number, len(found) - 1)]
    identity = request["request_id"]
    story = "no id"
    if identity:
        story = f"{named('logs')} --request-id {shlex.quote(visible(identity))}"
    lines = [
        Text(story, "bold"),
        *(_safe(f"  {frame}") for frame in request["frames"][-most:] or ["not in a thread"]),
    ]
    return Padding(Group(*lines), (0, 0, 0, 2))


def slow_calls(document: dict[str, Any], most: int, gap: int) -> RenderableType:
    """Where the time of slow calls went, all workers together."""
    calls: dict[str, tuple[int, float, str, str]] = {}
    for worker in answering(document):
        for call in worker["slow_calls"]:
            count, total, last, path = calls.get(call["location"], (0, 0.0, "", ""))
            newest = max((last, path), (call["last"], call["path"]))
            calls[call["location"]] = (count + call["count"], total + call["total_s"], *newest)
    if not calls:
        return Text("none", "dim")
    numbers, texts = ("CALLS", "TIME", "MEAN"), {"LOCATION": 3, "LAST PATH": 2}
    table = _table(*numbers, *texts, gap=gap, right=numbers, grow=texts)
    ordered = sorted(calls.items(), key=lambda item: -item[1][1])
    for location, (count, total, _, path) in ordered[:most]:
        table.add_row(
            str(count), latency(total), latency(total / count), _safe(place(location)), _safe(path)
        )
    return table


def errors(document: dict[str, Any], most: int, gap: int) -> RenderableType:
    """The newest errors of all workers."""
    found = [
        (error["time"], worker["worker"], error)
        for worker in answering(document)
        for error in worker["recent_errors"]
    ]
    if not found:
        return Text("none", "dim")
    columns = ("TIME", "LEVEL", "ID", "WORKER", "MESSAGE")
    table = _table(*columns, gap=gap, grow={"MESSAGE": 1})
    for when, name, error in sorted(found, key=lambda each: each[0], reverse=True)[:most]:
        message = error["message"] or error["event"]
        identity = _safe(error["request_id"])
        table.add_row(when[11:19], _state(error["level"]), identity, _safe(name), _safe(message))
    return table
