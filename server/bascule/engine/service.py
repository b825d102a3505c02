"""What all connections of a process share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from bascule.config import Config
from bascule.engine.crew import Crew
from bascule.engine.loop import Loop
from bascule.engine.overload import Overload
from bascule.http.field_line import HeadLimits
from bascule.http.head import HeadParser
from bascule.http.request import Request
from bascule.told.access_log import AccessLog, Served
from bascule.told.counters import Counters

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

NEVER: Final = float("inf")


class Client(Protocol):
    """A connection, as far as the process as a whole is concerned with it."""

    persists: bool
    """Whether another request may follow the one in hand."""

    @property
    def deadline(self) -> float:
        """When ``on_deadline`` is due, on the loop's clock."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""

    @property
    def waits_since(self) -> float:
        """Since when it has waited for a request, on the loop's clock.

        ``NEVER`` where it has one, and once it is closed: ``Room`` may still have it noted.
        """

    @property
    def request(self) -> Request | None:
        """The request in hand."""

    def on_deadline(self) -> None:
        """Act on a deadline that has passed."""

    def close(self) -> None:
        """Close, whatever it is doing."""

    def let_go(self) -> None:
        """Close the descriptor, and nothing else: this is a forked process."""


class Service:
    """The parts that connections work with, and what they are told and tell.

    Attributes:
        config: the settings.
        application: what answers requests.
        loop: polls the connections.
        crew: calls the application.
        access_log: None for no log.
        counters: None for no metrics.
        on_served: called, by any thread, with the number of requests served so far.
        on_empty: called by the leader when the last connection has closed.
        draining: no connection persists any more: answers say ``Connection: close``.
        connections: those that are open.
        parser: parses the heads of all connections.
        overload: answers what no thread is to be had for.
        is_observed: somebody wants to know of each request served.
        is_forked: this process is a child of the worker, which serves nobody.
    """

    __slots__ = (
        "_count",
        "access_log",
        "application",
        "config",
        "connections",
        "counters",
        "crew",
        "draining",
        "is_forked",
        "is_observed",
        "loop",
        "on_empty",
        "on_served",
        "overload",
        "parser",
    )

    def __init__(
        self,
        *,
        config: Config,
        application: WSGIApplication,
        loop: Loop,
        crew: Crew,
        access_log: AccessLog | None,
        counters: Counters | None = None,
        on_served: Callable[[int], None],
        on_empty: Callable[[], None],
    ) -> None:
        self.config = config
        self.application = application
        self.loop = loop
        self.crew = crew
        self.access_log = access_log
        self.counters = counters
        self.on_served = on_served
        self.on_empty = on_empty
        self.draining = False
        self.is_forked = False
        self.connections: set[Client] = set()
        self.is_observed = bool(access_log or counters or config.max_requests)
        self.parser = HeadParser(
            HeadLimits(
                line=config.limit_request_line,
                fields=config.limit_request_fields,
                field=config.limit_request_field_size,
            )
        )
        self.overload = Overload(config.threads, config.backlog_requests, counters)
        self._count = itertools.count(1)

    def drain(self) -> None:
        """Let no request follow those that are in flight; to be called by the leader."""
        self.draining = True
        for connection in list(self.connections):
            connection.persists = False

    def served(self, served: Served, size: int, duration: float, wait: float) -> None:
        """Note a request that has been answered; any thread may.

        Args:
            served: the request.
            size: bytes sent, head and framing included.
            duration: seconds from the head's arrival to the response's last byte.
            wait: seconds from the head's arrival until the application was called; below 0 if it
                was not.
        """
        if self.counters is not None:
            self.counters.note((served.status, size, duration, wait))
        if self.access_log is not None:
            self.access_log.write(served, size, duration)
        if self.config.max_requests:
            self.on_served(next(self._count))

    def forget(self, connection: Client) -> None:
        """Note that a connection has closed."""
        self.connections.discard(connection)
        if not self.connections:
            self.on_empty()
