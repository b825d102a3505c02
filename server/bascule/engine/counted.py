"""Connections whose requests are counted: what the others do not pay for is added here."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any, Final

from bascule.engine.connection import CLIENT_LEFT, Connection
from bascule.engine.service import Service
from bascule.told.counters import Counters
from bascule.told.metrics import REFUSED

# Before every request: the application was not called.
_NEVER_CALLED: Final = -1.0


class CountedConnection(Connection):
    """A connection that notes each of its requests; arguments as for ``Connection``.

    The base's methods are called by name: ``super()`` costs as much as what is added.
    """

    __slots__ = ("_called", "_counters", "_note")

    def __init__(self, sock: socket.SocketType, shared: dict[str, Any], service: Service) -> None:
        if service.counters is None:
            raise AssertionError("somebody has to count")
        self._counters: Counters = service.counters
        self._note = service.counters.note
        self._called = _NEVER_CALLED
        Connection.__init__(self, sock, shared, service)

    def _take(self, data: bytes) -> None:
        self._counters.received += len(data)
        Connection._take(self, data)

    def call(self) -> None:
        """Note when the wait for a thread is over."""
        self._called = monotonic()
        Connection.call(self)

    def turn_away(self, wait: float) -> None:
        """Count those that no thread was to be had for."""
        self._called = _NEVER_CALLED
        self._counters.add(REFUSED)
        Connection.turn_away(self, wait)

    def _log(self) -> None:
        exchange, sent, started = self._exchange, self._outgoing.sent, self._started
        if exchange is not None:
            if not sent:
                exchange.status = CLIENT_LEFT
            duration = monotonic() - started
            self._note((exchange.status, sent, duration, self._called - started))
            if self._service.is_logged:
                self._service.served(exchange, sent, duration)

    def _say_last(self, status: int, response: bytes) -> None:
        duration = monotonic() - self._started if self.request else 0.0
        self._note((status, len(response), duration, _NEVER_CALLED))
        Connection._say_last(self, status, response)
