"""The kinds of requests that are in flight at the same time."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reuse(enum.Enum):
    """What a client does with its connection after an answer."""

    KEEP = "keep-alive"
    CLOSE = "new connection"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request, and how many clients send it.

    Attributes:
        name: for the report; also the path, so that the server expects the same of all of a kind.
        method: GET or POST.
        reuse: of the connection.
        clients: at a time, each with one request in flight.
        seconds: that the call takes.
        sent: bytes of the request's body.
        received: bytes of the answer after its first line.
        pause: seconds between two of the pieces in which the client sends or reads.
        is_ordinary: it is fast, and the one whose times count.
    """

    name: str
    method: str
    reuse: Reuse
    clients: int
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    pause: float = 0.0
    is_ordinary: bool = False


PIECES = 16  # in which a slow client sends or reads

ORDINARY = (
    Kind("get", "GET", Reuse.KEEP, 4, is_ordinary=True),
    Kind("get-new", "GET", Reuse.CLOSE, 3, is_ordinary=True),
    Kind("post", "POST", Reuse.KEEP, 4, sent=1000, is_ordinary=True),
    Kind("post-new", "POST", Reuse.CLOSE, 3, sent=1000, is_ordinary=True),
)
# Six threads of a worker at the most, were it the only one: some of its eight stay for the others.
SLOW = (
    Kind("slow-get", "GET", Reuse.KEEP, 1, seconds=5),
    Kind("slow-post", "POST", Reuse.CLOSE, 2, seconds=5, sent=1000),
    Kind("upload", "POST", Reuse.KEEP, 2, sent=1 << 20, pause=0.25),
    Kind("download", "GET", Reuse.KEEP, 2, received=4 << 20, pause=0.25),
)
ALL = ORDINARY + SLOW
