"""A shop whose payments hang, whose report is slow and whose basket has a mistake in it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROWS = 14
ROW = 0.06  # seconds


def charge(order: str) -> bytes:
    """Wait for a payment service that never says a word."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(order.encode())
        return ours.recv(1024)


def rows(year: str) -> list[str]:
    """What was sold, one slow look-up after the other."""
    return [look_up(year, month) for month in range(ROWS)]


def look_up(year: str, month: int) -> str:
    """One row."""
    time.sleep(ROW)
    return f"{year}-{month:02}"


def total(basket: dict[str, float]) -> float:
    """The sum of a basket that nobody has added up."""
    return basket["total"]


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Lead to the parts of the shop."""
    path = environ["PATH_INFO"]
    if path.startswith("/checkout"):
        charge("1042")
    elif path == "/report":
        rows("2026")
    elif path == "/basket":
        total({})
    elif path.startswith("/picture/"):
        time.sleep(0.002 * int(path[-1]))
    elif path == "/nothing":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is no such thing.\n"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"A fine shop.\n"]
