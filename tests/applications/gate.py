"""Requests that wait until the test lets them go on.

The environment's GATE is the path of a unix socket on which the test listens: connecting says
"I am inside", the test's bytes say how to go on, its closing lets the request end.

/wait       waits inside the call, then answers; /wait/1 and so on as well
/stream     one block before it waits, one after it
/endless    yields 64 KiB blocks until it is closed; its close() connects to the gate
/           does not wait
"""

from __future__ import annotations

import os
import socket

BLOCK = b"x" * 65536
BLOCKS = 10_000  # an end, for a server that never closes an iterable


def wait(name):
    """Tell the test that `name` is reached; return what it answers, once it closes."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect(os.environ["GATE"])
        gate.sendall(name.encode("latin-1") + b"\n")
        with gate.makefile("rb") as answer:
            return answer.read()


class Endless:
    """Blocks without an end that say when they are closed."""

    def __iter__(self):
        """Yield."""
        for _ in range(BLOCKS):
            yield BLOCK

    def close(self):
        """Tell the test."""
        wait("closed")


def stream():
    """Yield a block, wait, yield another."""
    yield b"before\n"
    yield wait("stream") or b"after\n"


def application(environ, start_response):
    """Answer as the path says."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "gate"), ("Content-Type", "text/plain")]
    if path.startswith("/wait"):
        body = wait(environ["REQUEST_METHOD"] + " " + environ["QUERY_STRING"]) or b"waited\n"
        start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
        return [body]
    if path in ("/stream", "/endless"):
        start_response("200 OK", fields)
        return stream() if path == "/stream" else Endless()
    start_response("200 OK", [*fields, ("Content-Length", "8")])
    return [b"at once\n"]
