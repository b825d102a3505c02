"""The load in a thread of its own, while something is done to the stack."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from typing import Self

from tests.harness.waiting import wait_until
from tests.load.account import Account
from tests.load.clients import Load
from tests.load.kinds import ALL, Kind


class BackgroundLoad:
    """Runs from the block's start to its end, which waits for what is in flight.

    Args:
        port: of this machine, where the stack answers.
        rate: ordinary requests a second, at the most.
        kinds: what is sent.
    """

    def __init__(self, port: int, *, rate: float = 400.0, kinds: Sequence[Kind] = ALL) -> None:
        self._port = port
        self._rate = rate
        self._kinds = kinds
        self._is_made = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self._loop: asyncio.AbstractEventLoop
        self._load: Load

    @property
    def account(self) -> Account:
        """What has become of the requests so far."""
        return self._load.account

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_made.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._load.stop)
        self._thread.join()

    def wait_for(self, requests: int) -> None:
        """Return when that many have been answered right, or as many have failed."""
        account = self.account
        wait_until(
            lambda: max(account.right.total(), len(account.failures)) >= requests,
            f"{requests} answers, or as many failures",
            limit=math.inf,
            seen=lambda: "\n".join(account.lines()),
            interval=0.05,
        )

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._load = Load("127.0.0.1", self._port, rate=self._rate, kinds=self._kinds)
        self._loop = asyncio.get_running_loop()
        self._is_made.set()
        await self._load.run()
