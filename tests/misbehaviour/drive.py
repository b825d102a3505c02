"""Has one server serve one application that misbehaves, and looks at it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.ports import free_port
from tests.misbehaviour.cases import Case
from tests.misbehaviour.servers import GRACEFUL, WAITRESS, command
from tests.misbehaviour.stage import STILL_TOLD

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 20.0
PROBE_SECONDS: Final = 0.05  # between two probes
ANSWER_SECONDS: Final = 2.0  # a probe that has waited longer is missed
CLIENT_SECONDS: Final = 15.0  # for a client of the misbehaviour
TOLD_SECONDS: Final = 6.0  # until the log has it; hung calls are told after their deadline
STOP_SECONDS: Final = GRACEFUL + 4.0
REPLACE_SECONDS: Final = 15.0
REQUESTS_AFTER: Final = 50
AFTER_AT_ONCE: Final = 5
POLL_SECONDS: Final = 0.02

MISSED: Final = (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError)


class StartError(Exception):
    """A server does not start; the message has its last words."""


@dataclass(slots=True)
class Verdict:
    """What was seen of a server; an empty `faults` is a pass.

    Attributes:
        faults: what did not hold, in words.
        ended: whether the worker ended.
        missed: probes without an answer.
        log: what the server wrote.
    """

    faults: list[str] = field(default_factory=list)
    ended: bool = False
    missed: int = 0
    log: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own server.

    Attributes:
        code: the directory that has its package.
        restarts: whether its supervisor restarts it.
    """

    code: Path = ROOT / "server"
    restarts: bool = True


OURS: Final = Ours()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    body: bytes


async def ask(port: int, path: str, case: Case | None = None, seconds: float = 0) -> Answer:
    """Send a request on a connection of its own and return its response.

    With a case the client sends and reads what the case says.

    Raises:
        OSError, TimeoutError, asyncio.IncompleteReadError, ValueError: there is none.
    """
    async with asyncio.timeout(seconds or ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            size = case.sends if case else 0
            method = f"POST {path}" if size else f"GET {path}"
            length = f"Content-Length: {size}\r\n" if size else ""
            head = (
                f"{method} HTTP/1.1\r\nHost: misbehaviour.test\r\n{length}Connection: close\r\n\r\n"
            )
            writer.write(head.encode() + b"x" * size)
            line = await reader.readuntil(b"\r\n")
            status = int(line.split()[1])
            await reader.readuntil(b"\r\n\r\n")
            if case and case.reads:
                return Answer(status, await reader.readexactly(case.reads))
            return Answer(status, await reader.read(-1))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class Probe:
    """Asks for ``/`` every 50 ms, on a new connection each, and counts what is not answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._asking: set[asyncio.Task[None]] = set()
        self.answered = 0
        self.missed = 0
        self.pids: list[int] = []

    async def run(self) -> None:
        """Go on until cancelled."""
        due = time.monotonic()
        while True:
            task = asyncio.create_task(self._ask())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            due = max(due + PROBE_SECONDS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def settle(self) -> None:
        """Wait for the answers that are outstanding."""
        await asyncio.gather(*self._asking)

    async def _ask(self) -> None:
        try:
            answer = await ask(self._port, "/")
            pid = int(answer.body) if answer.status == 200 else 0
        except MISSED:
            pid = 0
        if pid:
            self.answered += 1
            if pid not in self.pids:
                self.pids.append(pid)
        else:
            self.missed += 1


async def until(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether a condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


@dataclass(slots=True)
class Running:
    """A server that was started."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    def text(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_text(errors="backslashreplace")


def _environment(case: Case, server_code: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BASCULE_", "GUNICORN_", "PYTEST_", "COV_", "PYTHON"))
    }
    return {
        **kept,
        "PYTHONPATH": f"{server_code}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(case.environment or {}),
    }


@contextlib.asynccontextmanager
async def started(server: str, case: Case, ours: Ours) -> AsyncIterator[Running]:
    """Start a server in an empty directory; whatever is left of it at the end is killed."""
    with tempfile.TemporaryDirectory(prefix="misbehaviour-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        port = free_port()
        log = directory / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command(server, case, port, directory, restarts=ours.restarts),
                cwd=directory,
                env=_environment(case, ours.code),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield Running(process, port, log)
        finally:
            # Its session is its own: children that the application left behind are in it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _answers(running: Running) -> int:
    """Wait for the first answer; return the worker's process id."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and running.process.returncode is None:
        with contextlib.suppress(*MISSED):
            return int((await ask(running.port, "/")).body)
        await asyncio.sleep(POLL_SECONDS)
    raise StartError(f"does not start: {running.text()[-2000:]}")


def _connect(running: Running, count: int) -> contextlib.ExitStack:
    """Have clients that connect and say nothing, until the stack is closed."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        return stack.pop_all()


async def _clients(running: Running, case: Case, verdict: Verdict) -> None:
    """Ask for the misbehaviour, as often as the case has it."""
    gate = asyncio.Semaphore(case.at_once)

    async def one() -> str:
        async with gate:
            try:
                answer = await ask(running.port, "/misbehave", case, CLIENT_SECONDS)
            except MISSED as error:
                return f"no answer ({type(error).__name__})"
        if case.status and answer.status != case.status:
            return f"status {answer.status}"
        if case.answer and not re.search(case.answer.encode(), answer.body):
            return "another body"
        return ""

    wrong = [each for each in await asyncio.gather(*(one() for _ in range(case.requests))) if each]
    if wrong and case.waits and case.status and not case.ends_worker:
        verdict.faults.append(f"its own client got {wrong[0]}")


async def _after(running: Running, pid: int) -> str:
    """Ask for a failure, which must be told, and for fifty more answers; return what is wrong."""
    with contextlib.suppress(*MISSED):
        await ask(running.port, "/fail")
    gate = asyncio.Semaphore(AFTER_AT_ONCE)

    async def one() -> bool:
        async with gate:
            with contextlib.suppress(*MISSED):
                return int((await ask(running.port, "/")).body) == pid
            return False

    served = sum(await asyncio.gather(*(one() for _ in range(REQUESTS_AFTER))))
    return "" if served == REQUESTS_AFTER else f"serves {served} of {REQUESTS_AFTER} afterwards"


def _send(running: Running, number: signal.Signals) -> None:
    # Not by `send_signal`: it reaps a process that has ended, which asyncio waits for.
    if running.process.returncode is None:
        os.kill(running.process.pid, number)


async def _stop(running: Running, server: str) -> str:
    """Ask it to stop; return what is wrong with how it did."""
    # waitress has no handler for SIGTERM, whose default action it leaves.
    number = signal.SIGINT if server == WAITRESS else signal.SIGTERM
    _send(running, number)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            status = await running.process.wait()
    except TimeoutError:
        return "does not stop"
    return "" if status == 0 else f"stops with status {status}"


async def judge(case: Case, server: str, ours: Ours = OURS) -> Verdict:
    """Run a case under a server and return what was seen.

    Args:
        case: the application.
        server: one of `servers.SERVERS`.
        ours: where our own server is.

    Raises:
        StartError: the server does not start.
    """
    verdict = Verdict()
    async with started(server, case, ours) as running:
        pid = await _answers(running)
        silent = _connect(running, case.silent)
        probe = Probe(running.port)
        probing = asyncio.create_task(probe.run())
        clients = asyncio.create_task(_clients(running, case, verdict))
        if case.waits:
            await clients
        pattern = re.compile(case.logged)
        is_told = await until(lambda: pattern.search(running.text()), TOLD_SECONDS)
        if case.ends_worker:
            await until(lambda: probe.pids[-1:] not in ([], [pid]), REPLACE_SECONDS)
        if case.signal and server != WAITRESS:  # which it would end
            _send(running, signal.Signals[case.signal])
        watched = probe.answered + case.watch / PROBE_SECONDS
        await until(lambda: probe.answered >= watched, case.watch + ANSWER_SECONDS)
        worker = probe.pids[-1] if case.ends_worker and probe.pids else pid
        wrong = await _after(running, worker)
        is_still_told = await until(lambda: STILL_TOLD in running.text(), TOLD_SECONDS / 2)
        silent.close()
        probing.cancel()
        await probe.settle()
        verdict.missed = probe.missed
        verdict.ended = running.process.returncode is not None or probe.pids != [pid]
        unstopped = await _stop(running, server)
        await clients
        verdict.log = running.text()
    if verdict.ended and not case.ends_worker:
        verdict.faults.insert(0, "the worker ends")
    if verdict.missed and not case.ends_worker:
        verdict.faults.append(f"{verdict.missed} probes missed")
    if not is_told:
        verdict.faults.append("not in the log")
    if not is_still_told:
        verdict.faults.append("failures afterwards are not in the log")
    verdict.faults += [each for each in (wrong, unstopped) if each]
    return verdict


async def judge_all(
    cases: Iterable[Case],
    server: str,
    at_once: int,
    on_verdict: Callable[[Case, Verdict], None],
    ours_for: Callable[[Case], Ours] = lambda _case: OURS,
) -> None:
    """Run cases, some at a time, and tell each verdict as it comes."""
    gate = asyncio.Semaphore(at_once)

    async def one(case: Case) -> None:
        async with gate:
            try:
                verdict = await judge(case, server, ours_for(case))
            except StartError as error:
                verdict = Verdict(["does not start"], ended=True, log=str(error))
        on_verdict(case, verdict)

    await asyncio.gather(*(one(case) for case in cases))
