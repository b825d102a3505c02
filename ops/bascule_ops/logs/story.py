"""What happened to one request: the lines of everybody who had to do with it, in order of time.

Lines with the request's id are in it, and three kinds without it: nginx's errors, which have the
number of the client's connection instead; what happened meanwhile to the worker that had the
request; and the latest line of `ratelimit` about the same client, which logs not every refusal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from bascule_ops.logs import human, moments
from bascule_ops.logs.moments import seconds, shown
from bascule_ops.logs.record import Record, is_request, parsed, time_of
from bascule_ops.logs.source import Source
from bascule_ops.text.colour import Paint
from bascule_ops.text.escape import visible

# Events without an id that say why a worker did not serve.
_OF_THE_WORKER: Final = {
    b'"process_state"',
    b'"draining"',
    b'"max_memory"',
    b'"cut_short"',
    b'"overloaded"',
    b'"internal_error"',
}
_RATE_LIMITED: Final = b'"rate_limited"'
# Lines of a kind that are kept, until it is known whether they belong to the request.
_KEPT: Final = 10_000
# How long after a request (seconds) its consequences are still logged, and how long before a
# refusal by a rate limit the line may be that speaks of it.
_AFTER: Final = 2.0
_BEFORE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the story.

    Attributes:
        at: seconds since the epoch.
        raw: the line as it was logged.
        record: the same, read.
    """

    at: float
    raw: bytes
    record: Record


class Story:
    """The lines about one request, as `read` finds them."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self._own: list[Entry] = []
        self._around: deque[Entry] = deque(maxlen=_KEPT)
        self._refusals: deque[Entry] = deque(maxlen=_KEPT)
        self._nginx_errors: deque[Entry] = deque(maxlen=_KEPT)

    def read(self, source: Source, since: str) -> None:
        """Look through the log once."""
        needle = self.request_id.encode()
        before = b""
        for raw in source.lines(since, None):
            if raw.startswith(b"{"):
                before = raw
                if needle in raw:
                    self._add(raw, parsed(raw))
                elif b'"request"' not in raw:
                    self._keep(raw)
            elif raw:
                record = parsed(raw, time_of(before))
                if record["event"] == "nginx_error":
                    # The second is all that it has: the error came before its end.
                    self._nginx_errors.append(Entry(seconds(record["time"]) + 0.999, raw, record))

    def entries(self) -> list[Entry]:
        """The lines in order of time; empty where the log knows no such request."""
        if not self._own:
            return []
        found = list(self._own)
        requests = [entry for entry in found if is_request(entry.record)]
        nginx = next((each for each in requests if each.record.get("worker") == "nginx"), None)
        began = min([self._began(each) for each in requests] + [each.at for each in found])
        ended = max(each.at for each in found)
        found += self._errors(nginx, began)
        workers = self._workers(found)
        for entry in self._around:
            if began <= entry.at <= ended + _AFTER and _worker_of(entry.record) in workers:
                found.append(entry)
        found += self._refusal(requests)
        # nginx logs a request when all is over: last of what has the same time.
        return sorted(found, key=lambda entry: (entry.at, entry is nginx))

    def _add(self, raw: bytes, record: Record) -> None:
        entry = Entry(seconds(record["time"]), raw, record)
        if record.get("request_id") == self.request_id:
            self._own.append(entry)
        else:
            self._keep(raw)

    def _keep(self, raw: bytes) -> None:
        if any(event in raw for event in _OF_THE_WORKER):
            record = parsed(raw)
            self._around.append(Entry(seconds(record["time"]), raw, record))
        elif _RATE_LIMITED in raw:
            record = parsed(raw)
            self._refusals.append(Entry(seconds(record["time"]), raw, record))

    @staticmethod
    def _began(entry: Entry) -> float:
        return entry.at - float(entry.record["duration_ms"]) / 1000

    def _errors(self, nginx: Entry | None, began: float) -> list[Entry]:
        """nginx's errors on the request's connection while it had the request."""
        if nginx is None or "connection" not in nginx.record:
            return []
        return [
            Entry(
                min(entry.at, nginx.at), entry.raw, entry.record | {"request_id": self.request_id}
            )
            for entry in self._nginx_errors
            if entry.record.get("connection") == nginx.record["connection"]
            and began - 1 <= entry.at <= nginx.at + 1
        ]

    @staticmethod
    def _workers(found: list[Entry]) -> set[str]:
        """The names of the workers that had the request."""
        names = {str(entry.record.get("worker", "")) for entry in found}
        for entry in found:
            for attempt in human.attempts(entry.record):
                names.add(attempt.partition(":")[0].removeprefix("worker-"))
        return names - {"nginx", ""}

    def _refusal(self, requests: list[Entry]) -> list[Entry]:
        """The latest line of `ratelimit` about the client of a request that it refused."""
        refused = next((each for each in requests if each.record["status"] == 429), None)
        if refused is None or any(each.record["event"] == "rate_limited" for each in self._own):
            return []
        address = refused.record.get("remote_addr")
        lines = [
            entry
            for entry in self._refusals
            if entry.record.get("address") == address and 0 <= refused.at - entry.at <= _BEFORE
        ]
        return lines[-1:]


def _worker_of(record: Record) -> str:
    process = str(record.get("process", ""))  # bascule:worker-1, of supervisor's events
    name = process.rpartition(":")[2].removeprefix("worker-")
    return name or str(record.get("worker", ""))


def told(request_id: str, entries: list[Entry], paint: Paint) -> str:
    """The story as text: who, when, what."""
    requests = [entry for entry in entries if is_request(entry.record)]
    first = _first(requests)
    began = min(entry.at for entry in entries)
    rows = []
    if first:
        began = min(began, first.at - first.record["duration_ms"] / 1000)
        rows.append((began, human.writer(first.record), "has the request", first.record))
    for entry in entries:
        text = _answer(entry.record) if entry in requests else human.what(entry.record)
        rows.append((entry.at, human.writer(entry.record), text, entry.record))
    lines = [*_title(request_id, first.record if first else None, began, paint)]
    for number, (at, who, text, record) in enumerate(rows):
        offset = f"{(at - began) * 1000:+.0f} ms"
        colour = _colour(record) if number or not first else ""
        lines.append(f"{_clock(at)} {offset:>10}  {visible(who):<9} {paint(colour, text)}")
        if number or not first:
            lines += [paint("faint", f"{'':25}{each}") for each in human.details(record)]
    return "\n".join([*lines, "", paint("strong", _end(requests))])


def _first(requests: list[Entry]) -> Entry | None:
    """The line of who had the request first: nginx, or else a worker."""
    return next(
        (each for each in requests if each.record.get("worker") == "nginx"),
        requests[0] if requests else None,
    )


def _title(request_id: str, request: Record | None, began: float, paint: Paint) -> list[str]:
    lines = [paint("strong", f"Request {visible(request_id)}")]
    if request:
        agent = visible(request.get("user_agent") or "no user agent")
        lines.append(
            f"{visible(request.get('method', '-'))} {visible(request.get('target', '-'))}"
            f" to {visible(request.get('host') or '-')}"
            f" from {visible(request.get('remote_addr') or '-')} ({agent})"
        )
    return [*lines, f"{moments.from_seconds(began)[:10]}, times in UTC", ""]


def _answer(request: Record) -> str:
    took = shown(request["duration_ms"] / 1000)
    text = f"answers {request['status']}, {request['bytes']} B, after {took}"
    if request["status"] == 499:
        text = f"finds that the client has left (499), after {took}"
    asked = human.attempts(request)
    return f"{text}; {', then '.join(asked)}" if asked else text


def _end(requests: list[Entry]) -> str:
    first = _first(requests)
    if first is None:
        return "It has not ended, as far as the log goes."
    took = shown(first.record["duration_ms"] / 1000)
    if first.record["status"] == 499:
        return f"The client left after {took}."
    return f"The client got {first.record['status']} after {took}."


def _clock(at: float) -> str:
    return moments.from_seconds(at)[11:23]


def _colour(record: Record) -> str:
    if is_request(record):
        return human.status_colour(record)
    level = str(record.get("level"))
    return "red" if level in {"error", "critical"} else "yellow" if level == "warning" else ""
