"""A call of the application, its client and the leader, at a time that the test may set."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from bascule.config import Config
from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.engine.deadlines import Deadlines
from bascule.engine.loop import Loop
from bascule.engine.service import Service
from bascule.wsgi import environ

BEGAN = 1000.0
LONG = 15.0  # a wait that takes longer has failed
NEVER = 600.0


class HeldSocket(socket.socket):
    """A socket whose sends wait, either before or after they have happened."""

    held_before: threading.Event | None = None
    held_after: threading.Event | None = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.sending = threading.Event()

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self.held_before:
            self.sending.set()
            self.held_before.wait(LONG)
        sent = super().send(data, flags)
        if self.held_after:
            self.sending.set()
            self.held_after.wait(LONG)
        return sent


class Meeting:
    """A call on a thread of its own, its client, and the leader, which is the test."""

    def __init__(self, stack: ExitStack, threads: int = 2) -> None:
        self.loop = Loop(NEVER)
        stack.callback(self.loop.close)
        self.service = Service(
            config=Config(application="fake", threads=threads),
            application=self.application,
            loop=self.loop,
            crew=Crew(threads, 0, self.loop.poll, lambda _call: None),
            access_log=None,
            on_served=lambda _count: None,
            on_empty=lambda: None,
        )
        stack.callback(self._close_connections)
        self.gate = threading.Event()
        stack.callback(self.gate.set)
        self.is_inside = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        here, there = socket.socketpair()
        self.client = stack.enter_context(there)
        self.client.settimeout(LONG)
        self.socket = HeldSocket(fileno=here.detach())
        self.socket.setblocking(False)
        self.client.sendall(b"GET /at HTTP/1.1\r\nHost: example.org\r\nX-Request-ID: f00d\r\n\r\n")
        shared = environ.template(("example.org", "80"), multithread=True)
        shared["REMOTE_ADDR"] = "192.0.2.1"
        self.connection = Connection(self.socket, shared, self.service)
        self.thread = threading.Thread(target=self._call, daemon=True)

    def _close_connections(self) -> None:
        for connection in list(self.service.connections):
            connection.close()

    def application(self, _environ, start_response):
        """Answer, when it may."""
        self.is_inside.set()
        self.may_answer.wait(LONG)
        start_response("200 OK", [("Content-Length", "6")])
        return [b"answer"]

    def begin(self) -> Call:
        """Have the loop read the request, and a thread call the application for it."""
        self.connection.begin()
        self.thread.start()
        assert self.is_inside.wait(LONG)
        assert self.thread.ident is not None
        return Call(self.thread.ident, self.connection, self.loop.now)

    def _call(self) -> None:
        self.connection.call()
        self.connection.discard()

    def sweep(self) -> None:
        """Have the leader look at deadlines."""
        self.loop.poll(wait=False)
        Deadlines(self.loop, self.service.connections).sweep()

    def received(self) -> bytes:
        """Return all that the client gets."""
        data = b""
        while block := self.client.recv(65536):
            data += block
        return data


class Clock:
    """The monotonic clock, which the test sets (seconds)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGAN
        monkeypatch.setattr("bascule.engine.loop.monotonic", self)
        monkeypatch.setattr("time.monotonic", self)

    def __call__(self) -> float:
        return self.now
