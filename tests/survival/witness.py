"""Asks nginx and each worker all the time, from outside: who could have served a request."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

from tests.harness.fetch import NO_RESPONSE, fetch

INTERVAL: Final = 0.05  # seconds between two questions
LIMIT: Final = 1.0  # seconds for an answer
OF_NGINX: Final = "/static/bascule.svg"  # which nginx answers without a worker
OF_WORKER: Final = "/probe?token=probe"


@dataclass(frozen=True, slots=True)
class Answer:
    """When somebody was asked (monotonic clock), until when, and whether they answered 200."""

    began: float
    ended: float
    is_right: bool


@dataclass(slots=True)
class Witness:
    """Runs from the block's start to its end.

    Attributes:
        port: nginx's, on this machine.
        sockets: the directory of the workers' sockets.
        workers: how many there may be.
    """

    port: int
    sockets: Path
    workers: int
    _over: threading.Event = field(default_factory=threading.Event)
    _nginx: list[Answer] = field(default_factory=list)
    _workers: list[list[Answer]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._ask(lambda: fetch(self.port, OF_NGINX, limit=LIMIT).status, self._nginx)
        for number in range(self.workers):
            self._workers.append([])
            path = self.sockets / f"worker-{number}.sock"
            self._ask(partial(_worker_status, path), self._workers[-1])
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def could_serve(self, began: float, ended: float) -> bool:
        """Whether nginx answered, and one and the same worker, before, during and after that."""
        return _was_right(self._nginx, began, ended) and any(
            _was_right(answers, began, ended) for answers in self._workers
        )

    def _ask(self, question: Callable[[], int], answers: list[Answer]) -> None:
        def ask_on() -> None:
            while not self._over.wait(INTERVAL):
                began = time.monotonic()
                try:
                    is_right = question() == 200
                except (*NO_RESPONSE, http.client.HTTPException, OSError):
                    is_right = False
                answers.append(Answer(began, time.monotonic(), is_right))

        thread = threading.Thread(target=ask_on)
        thread.start()
        self._threads.append(thread)


def _was_right(answers: list[Answer], began: float, ended: float) -> bool:
    """Whether each answer of that time was right, with those before and after it."""
    before = [each for each in answers if each.ended <= began][-1:]
    after = [each for each in answers if each.began >= ended][:1]
    during = [each for each in answers if each.ended > began and each.began < ended]
    asked = [*before, *during, *after]
    return bool(before and after) and all(each.is_right for each in asked)


def _worker_status(path: Path) -> int:
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(LIMIT)
        sock.connect(str(path))
        sock.sendall(
            f"GET {OF_WORKER} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        with closing(http.client.HTTPResponse(sock, method="GET")) as response:
            response.begin()
            response.read()
            return response.status
