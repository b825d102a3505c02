"""What a connection can be doing."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """What a connection is doing; ``bascule.engine.connection`` says what each waits for."""

    IDLE = enum.auto()  # waits for a request of which nothing has come
    HEAD = enum.auto()  # has a part of a request's head
    BODY = enum.auto()  # has a request's head, and reads its body
    WAITING = enum.auto()  # its request waits for a thread
    CALLED = enum.auto()  # the application has its request
    HELD = enum.auto()  # the call waits until the client has taken what it was sent
    SENDING = enum.auto()  # the call is over, and the client takes the rest
    LINGERING = enum.auto()  # all is said; the client finishes (RFC 9112 §9.6)
    ABANDONED = enum.auto()  # its call hangs, and has lost the client
    CLOSED = enum.auto()

    # Looked up for each event; an enumeration's own is a function of Python.
    __hash__ = object.__hash__
