"""A call that hangs is given up: its client is answered without it.

A thread cannot be ended from outside, so the call keeps its thread, and the connection's object;
whatever the application says from here on, no client hears.
"""

from __future__ import annotations

from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.outgoing import SENDING
from bascule.engine.service import NEVER, Service
from bascule.http.request import Request


class AbandonedCall:
    """Stands for a connection that its call has lost, until its client is answered.

    To be used by the leader.

    Args:
        call: hangs.
        connection: that the call answers.
        service: what the connection shares with others.

    Attributes:
        deadline: when ``on_deadline`` is due, on the loop's clock.
    """

    persists = False
    is_idle = False
    waits_since = NEVER

    def __init__(self, call: Call, connection: Connection, service: Service) -> None:
        self._call = call
        self._connection = connection
        self._service = service
        self.deadline = NEVER
        service.connections.add(self)
        self._sock = connection.surrender()
        self.on_deadline()

    @property
    def request(self) -> Request | None:
        """The request that the call is to answer."""
        return self._connection.request

    @property
    def is_undecided(self) -> bool:
        """Whether it is yet to be seen what the call has said."""
        return self.deadline < NEVER

    def on_deadline(self) -> None:
        """Answer 504, or cut short what has begun, once it is certain what the call has said."""
        if self._call.is_inside(SENDING):
            self.deadline = self._service.loop.now  # a moment later, at the next tick
            return
        self.deadline = NEVER
        self._connection.answer_for_call(self._sock)
        self._service.forget(self)

    def close(self) -> None:
        """Leave the client without an answer."""
        self._sock.close()
        self._service.forget(self)

    def let_go(self) -> None:
        """Close the socket in a forked process; nothing of it reaches the worker or the client."""
        self._sock.close()
