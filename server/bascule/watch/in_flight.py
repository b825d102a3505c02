"""What a process is doing, for a thread that takes no part in it and must never wait.

The threads that serve go on while they are looked at, and no lock is taken. What makes that safe:

* A copy of a set, a list or a dictionary of numbers is a single step for the interpreter.
* A request's head never changes once it is complete. Of an environ only single keys are read, and
  only text is believed, since the application may put anything there.
* Any attribute may change between two looks, so each is read once and may be a moment old: a
  request may be told of that has just ended, or missing that has just come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.service import Service
from bascule.engine.states import State

# Characters of a target or of a path that are told.
_TARGET_SIZE: Final = 1024
# What a connection's states are told as.
_NAMES: Final = {
    State.IDLE: "idle",
    State.HEAD: "head",
    State.BODY: "body",
    State.WAITING: "call",
    State.CALLED: "call",
    State.HELD: "send",
    State.SENDING: "send",
    State.LINGERING: "linger",
}


class InFlight(NamedTuple):
    """One request whose head is complete, and whose response is not.

    Attributes:
        state: ``body``, ``waiting`` (for a thread), ``running``, ``streaming`` (a part of the
            answer is sent, and the application is to give more), ``sending``, or ``hung`` (past
            its deadline, answered without the call, which goes on).
        age: since its head was complete, in seconds.
        thread: that runs it; None for none.
    """

    state: str
    request_id: str
    method: str
    target: str
    path: str
    peer: str
    age: float
    thread: int | None


def connections(service: Service) -> list[Connection]:
    """Return the connections that are open."""
    return [each for each in service.connections.copy() if isinstance(each, Connection)]


def calls(service: Service) -> list[Call]:
    """Return the calls of the application that are being made, those that were given up too."""
    if not service.crew.is_alone:
        return service.crew.calls()
    main = threading.main_thread().ident or 0
    since = service.loop.now  # the loop turns no more until the call ends
    return [Call(main, each, since) for each in connections(service) if each.is_called]


def requests(service: Service, running: list[Call]) -> Iterator[InFlight]:
    """Yield the requests in flight, in no order.

    Args:
        running: the ``calls``.
    """
    threads = {id(call.task): call.thread for call in running}
    now = time.monotonic()
    for connection in connections(service):
        thread = threads.get(id(connection))
        state = _state(connection, thread)
        if state and (found := _describe(connection, state, thread, now)):
            yield found
    for call in running:
        task = call.task
        if call.is_abandoned and isinstance(task, Connection):  # no longer among the connections
            found = _describe(task, "hung", call.thread, now)
            if found:
                yield found


def _state(connection: Connection, thread: int | None) -> str:
    state = connection.state
    if state is State.BODY:
        return "body"
    if state in (State.HELD, State.SENDING):
        return "sending"
    if state not in (State.WAITING, State.CALLED):
        return ""
    if thread is not None:
        return "streaming" if connection.is_streaming else "running"
    # After the call it is the leader's, which has not got round to it.
    return "sending" if state is State.CALLED else "waiting"


def _describe(
    connection: Connection, state: str, thread: int | None, now: float
) -> InFlight | None:
    request = connection.request
    if request is None:
        return None  # it has ended meanwhile
    return InFlight(
        state=state,
        request_id=connection.request_id,
        method=request.method,
        target=request.target[:_TARGET_SIZE],
        path=request.path[:_TARGET_SIZE],
        peer=connection.peer,
        age=max(0.0, now - connection.started),
        thread=thread,
    )


def states(service: Service) -> dict[str, int]:
    """Return how many connections are in each state."""
    counts = dict.fromkeys(_NAMES.values(), 0)
    for connection in connections(service):
        if name := _NAMES.get(connection.state):
            counts[name] += 1
    return counts


def identity(call: Call) -> dict[str, Any]:
    """Return the id, the method and the path of a call's request; empty where it has ended."""
    task = call.task
    request = task.request if isinstance(task, Connection) else None
    return {
        "request_id": task.request_id if isinstance(task, Connection) else "",
        "method": request.method if request else "",
        "path": request.path if request else "",
    }
