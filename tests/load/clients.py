"""The clients: each sends one request after the other, and checks each answer whole."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Sequence

from tests.load.account import Account, Failure
from tests.load.application import filler, first_line
from tests.load.exchange import BUFFER, Connection, LostError
from tests.load.kinds import ALL, PIECES, Kind, Reuse

LIMIT = 60.0  # seconds for one request, the slow ones included
STALL_TICK = 0.02  # seconds between two looks at how late the event loop is


class WrongError(Exception):
    """An answer that is not the right one; the text says what is wrong with it."""


class Load:
    """A mixed load on one address.

    Args:
        host, port: where HTTP is answered.
        rate: ordinary requests a second, at the most.
        kinds: what is sent.
    """

    def __init__(
        self, host: str, port: int, *, rate: float = 400.0, kinds: Sequence[Kind] = ALL
    ) -> None:
        self._address = (host, port)
        self._kinds = kinds
        ordinary = sum(kind.clients for kind in kinds if kind.is_ordinary)
        self._interval = ordinary / rate
        self._numbers = itertools.count()
        self._stopping = asyncio.Event()
        self.account = Account()

    def stop(self) -> None:
        """Send no more; what is in flight is waited for."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until `stop` is called."""
        watch = asyncio.create_task(self._watch_for_stalls())
        async with asyncio.TaskGroup() as clients:
            for kind in self._kinds:
                for _ in range(kind.clients):
                    clients.create_task(self._client(kind))
        watch.cancel()

    async def _watch_for_stalls(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(STALL_TICK)
            late = time.monotonic() - before - STALL_TICK
            self.account.own_stall = max(self.account.own_stall, late)

    async def _client(self, kind: Kind) -> None:
        connection: Connection | None = None
        while not self._stopping.is_set():
            began = time.monotonic()
            connection = await self._one(kind, connection)
            if kind.is_ordinary:
                rest = self._interval - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, rest))
            elif self.account.failures and time.monotonic() - began < self._interval:
                await asyncio.sleep(self._interval)  # what fails at once must not become a flood
        if connection:
            connection.close()

    async def _one(self, kind: Kind, connection: Connection | None) -> Connection | None:
        """Send one request; return the connection where another may follow on it."""
        token = f"{kind.name}-{next(self._numbers)}"
        self.account.sent[kind.name] += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT):
                if connection and not connection.is_open():
                    connection.close()
                    connection = None
                connection = connection or await Connection.open(*self._address)
                await self._exchange(kind, token, connection)
        except (LostError, WrongError, TimeoutError) as error:
            reason = str(error) or f"no whole answer within {LIMIT:g} s"
            self.account.failures.append(Failure(kind, token, reason, began, time.monotonic()))
            if connection:
                connection.close()
            return None
        self.account.answered(kind, began, time.monotonic())
        if kind.reuse is Reuse.CLOSE:
            connection.close()
            return None
        return connection

    async def _exchange(self, kind: Kind, token: str, connection: Connection) -> None:
        body = b"".join(filler(f"body of {token}", kind.sent))
        step = len(body) // PIECES if kind.pause and body else len(body) or 1
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
        fields = [
            f"{kind.method} /{kind.name}?token={token}&seconds={kind.seconds:g}"
            f"&bytes={kind.received} HTTP/1.1",
            f"Host: {self._address[0]}",
        ]
        if kind.method == "POST":
            fields.append(f"Content-Length: {len(body)}")
        if kind.reuse is Reuse.CLOSE:
            fields.append("Connection: close")
        head = "\r\n".join([*fields, "", ""]).encode()
        await connection.send(head, pieces, kind.pause)
        answer = await connection.head()
        received = hashlib.sha256()
        size = 0
        read_at_once = 0
        async for piece in connection.body(answer):
            received.update(piece)
            size += len(piece)
            read_at_once += len(piece)
            if kind.pause and kind.received and read_at_once > kind.received // PIECES - BUFFER:
                read_at_once = 0
                await asyncio.sleep(kind.pause)
        if answer.status != 200:
            raise WrongError(f"status {answer.status}")
        line = first_line(token, len(body), hashlib.sha256(body).hexdigest())
        wanted = hashlib.sha256(line)
        for piece in filler(token, kind.received):
            wanted.update(piece)
        if received.digest() != wanted.digest():
            raise WrongError(f"a wrong answer of {size} bytes")
