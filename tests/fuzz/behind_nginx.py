"""Streams through a real nginx to a real worker: both see the same requests, and the same of each.

nginx gives every request that it reads an id, which it logs and passes on. A request that the
worker sees without an id that nginx gave to it, or with one that it has seen before, has been
smuggled; and an answer that carries another id than its request has got to the wrong client.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.applications.seen import digest
from tests.fuzz import read_ours
from tests.fuzz.compare import Finding
from tests.fuzz.reading import Reading
from tests.harness.nginx import Nginx
from tests.harness.processes import Process
from tests.harness.waiting import wait_until

# Streams that are on their way at the same time.
CLIENTS = 16
# What is silent for so long (seconds) waits for more: the client says that there is none.
SILENCE = 0.25
LIMIT = 20.0
# nginx closes after it, where it gets that far.
LAST = b"GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
# What the client gave up on (nginx: 499) the worker may have had or not.
GIVEN_UP = 499

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_ID = re.compile(rb"^X-Request-ID: ([0-9a-f]{32})\r$", re.MULTILINE | re.IGNORECASE)
_SEEN = re.compile(rb"^X-Seen: (\S*) (\S*) (\S*) (\S*) (\S*)\r$", re.MULTILINE)


class Seen(NamedTuple):
    """What the worker saw of a request; the body as its length and a digest."""

    method: str
    target: str
    length: int
    digest: str


class Answer(NamedTuple):
    """An answer that nginx sent: its status and id, and what the worker saw, if it did."""

    status: int
    request_id: str
    seen: Seen | None


@dataclass
class Outcome:
    """What became of many streams.

    Attributes:
        streams: how many.
        passed_on: requests that nginx let through.
        refused: of those, what the worker refused, by status.
        kept_back: requests that nginx answered by itself, by status.
    """

    streams: int = 0
    passed_on: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    kept_back: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        refused = ", ".join(f"{number:,} with {status}" for status, number in self.refused.items())
        return (
            f"{self.streams:,} streams: nginx let {self.passed_on:,} requests through and answered "
            f"{sum(self.kept_back.values()):,} by itself; the worker saw each of them once, and "
            f"refused {refused or 'none'}"
        )


class Pair:
    """A worker and the nginx before it, with what both have logged."""

    def __init__(self, nginx: Nginx, log: Path) -> None:
        self._nginx = nginx
        self._log = log
        self._read = [0, 0]  # lines that have been compared
        self._known: set[str] = set()  # every id that nginx gave

    def exchange(self, stream: bytes) -> list[Answer]:
        """Send a stream on a connection of its own; return every answer.

        Raises:
            Finding: an answer is somebody else's, or a request ends elsewhere for nginx than for
                the server's own parser.
        """
        found = answers(self._send(stream + LAST))
        try:
            check_ends(found, read_ours.read([stream + LAST]))
        except Finding as finding:
            raise Finding(finding.kind, f"{finding}; stream: {stream!r}") from None
        return found

    def _send(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._nginx.port), LIMIT) as sock:
            received = b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
                sock.settimeout(SILENCE)
                while True:
                    try:
                        block = sock.recv(1 << 16)
                    except TimeoutError:
                        sock.settimeout(LIMIT)
                        sock.shutdown(socket.SHUT_WR)
                        continue
                    if not block:
                        break
                    received += block
            return received

    def compare(self, answered: Sequence[Answer]) -> Outcome:
        """Compare both logs since the last time, once both are complete.

        Raises:
            Finding: they differ.
        """
        expected = {each.request_id for each in answered}
        lines: list[dict[str, Any]] = []
        ours: list[dict[str, Any]] = []

        def is_complete() -> bool:
            lines[:] = self._lines(self._nginx.process.out)[self._read[0] :]
            ours[:] = self._lines(self._log.read_text(encoding="utf-8"))[self._read[1] :]
            self._known.update(line["request_id"] for line in lines)
            seen = {line["request_id"] for line in ours}
            got = {line["request_id"] for line in lines if line["upstream_status"] == "200"}
            return expected <= self._known and got <= seen and seen - {""} <= self._known

        with contextlib.suppress(AssertionError):  # what is missing is told below
            wait_until(is_complete, "both logs")
        self._read = [self._read[0] + len(lines), self._read[1] + len(ours)]
        let_through = [line for line in lines if line["upstream_status"] not in ("", "-")]
        theirs = {line["request_id"]: line for line in let_through if line["status"] != GIVEN_UP}
        outcome = Outcome(passed_on=len(let_through))
        outcome.kept_back.update(
            line["status"] for line in lines if line["upstream_status"] in ("", "-")
        )
        outcome.refused.update(agree(theirs, self._known, ours))
        return outcome

    @staticmethod
    def _lines(written: str) -> list[dict[str, Any]]:
        *whole, _ = written.split("\n")
        return [json.loads(line) for line in whole]


def answers(received: bytes) -> list[Answer]:
    """Return the answers in what a client received.

    Raises:
        Finding: one has no id, or an id that its request had not.
    """
    found = []
    for match in _HEAD.finditer(received):
        status, fields = int(match[1]), match[2]
        if status < 200:
            continue
        ids = _ID.findall(fields)
        if len(ids) != 1:
            raise Finding("an answer without its id", repr(match[0]))
        seen = None
        if said := _SEEN.search(fields):
            if said[1] != ids[0]:
                raise Finding("an answer to another request", repr(match[0]))
            method, target = (
                bytes.fromhex(each.decode()).decode("latin-1") for each in said.group(2, 3)
            )
            seen = Seen(method, target, int(said[4]), said[5].decode())
        found.append(Answer(status, ids[0].decode(), seen))
    return found


def check_ends(found: Sequence[Answer], reading: Reading) -> None:
    """Hold what came through nginx against the same stream as the server's parser reads it.

    As far as both read it: what one refuses, the other need not.

    Raises:
        Finding: they differ.
    """
    for answer, message in zip(found, reading.messages, strict=False):
        if answer.seen is None or message.body is None:
            return
        direct = Seen(message.method, message.target, len(message.body), digest(message.body))
        if answer.seen._replace(target="") != direct._replace(target="") or not is_same_target(
            answer.seen.target, direct.target
        ):
            raise Finding("another request by way of nginx", f"{answer.seen}, directly: {direct}")


def agree(
    theirs: dict[str, dict[str, Any]], known: set[str], ours: Sequence[dict[str, Any]]
) -> Iterator[int]:
    """Hold the worker's log against nginx's; yield the statuses of what the worker refused.

    Args:
        theirs: the lines of what nginx let through, by id.
        known: every id that nginx gave.
        ours: the worker's lines.

    Raises:
        Finding: they differ.
    """
    without_id = [line for line in ours if not line.get("request_id")]
    ids = Counter(line["request_id"] for line in ours if line.get("request_id"))
    if twice := [each for each, times in ids.items() if times > 1]:
        raise Finding("a request that the worker saw twice", repr(theirs.get(twice[0])))
    if unknown := [each for each in ids if each not in known]:
        raise Finding("a request that nginx knows nothing of", repr(unknown[0]))
    refused = [line for each, line in theirs.items() if each not in ids]
    for line in refused:
        if not line["upstream_status"].startswith("4") and line["upstream_status"] != "501":
            raise Finding("a request that the worker did not see", repr(line))
    if sorted(str(line["status"]) for line in without_id) != sorted(
        line["upstream_status"] for line in refused
    ):
        raise Finding("a request that nginx did not pass on", f"{without_id}, nginx: {refused}")
    for line in ours:
        other = theirs.get(line.get("request_id", ""))
        if other is None:
            continue
        if line["method"] != other["method"]:
            raise Finding("another method", f"{line}, nginx: {other}")
        if not is_same_logged_target(line["target"], other["target"]):
            raise Finding("another target", f"{line}, nginx: {other}")
        if str(line["status"]) != other["upstream_status"]:
            raise Finding("another status", f"{line}, nginx: {other}")
    return iter([line["status"] for line in without_id])


def is_same_logged_target(ours: str, theirs: str) -> bool:
    """Return whether a target is the one that nginx has logged.

    What is no UTF-8 its log leaves out, where the worker's has a character for each byte.
    """
    return theirs == "(not UTF-8)" or is_same_target(ours, theirs.encode().decode("latin-1"))


def is_same_target(passed_on: str, sent: str) -> bool:
    """Return whether nginx may pass a target on as another.

    It leaves out scheme and host of an absolute target, and gives it a path where it had none;
    there a query that is empty goes.
    """
    if is_absolute := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", sent):
        rest = sent[is_absolute.end() :]
        sent = rest[min(rest.find(each) % (len(rest) + 1) for each in "/?") :]
    return passed_on in (sent, f"/{sent}") or (passed_on, sent) == ("/", "?")


@contextlib.contextmanager
def pair(binary: str) -> Iterator[Pair]:
    """Run an nginx with the shipped configuration before one worker."""
    with Nginx(binary, WORKERS="1", NGINX_KEEPALIVE_TIMEOUT="5s") as nginx:
        log = nginx.directory / "worker.log"
        path = nginx.run_dir / "worker-0.sock"
        command = [
            *(sys.executable, "-m", "bascule", "--bind", f"unix:{path}", "--threads", "4"),
            *("--access-logfile", str(log), "--access-logformat", "json"),
            *("--log-level", "warning", "tests.applications.seen:application"),
        ]
        with Process(command) as worker:
            worker.wait_until(path.exists, "the worker's socket")
            try:
                yield Pair(nginx, log)
            finally:
                worker.signal(signal.SIGINT)
                worker.wait(LIMIT)


def run(
    running: Pair,
    streams: Iterator[bytes],
    *,
    inputs: int | None = None,
    seconds: float | None = None,
    batch: int = 200,
) -> Iterator[Outcome]:
    """Send streams, compare after each batch, and yield what became of all until then.

    Raises:
        Finding: something does not hold.
    """
    total = Outcome()
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        while inputs is None or total.streams < inputs:
            count = batch if inputs is None else min(batch, inputs - total.streams)
            chosen = [stream for _, stream in zip(range(count), streams, strict=False)]
            if not chosen:
                return
            found = [each for some in pool.map(running.exchange, chosen) for each in some]
            outcome = running.compare(found)
            total.streams += len(chosen)
            total.passed_on += outcome.passed_on
            total.refused += outcome.refused
            total.kept_back += outcome.kept_back
            yield total
            if seconds is not None and time.monotonic() - began >= seconds:
                return
