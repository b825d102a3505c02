"""Does a step each time the test lets it, and ends when the test says nothing (see `gate`).

/yields   a piece of the response a step
/writes   the same, by the write callable
/nothing  an empty piece a step
/reads    a line of the request's body a step
/large    a piece of more than a client's buffers hold, then a piece a step
"""

from __future__ import annotations

from tests.applications.gate import wait

LARGE = 8 << 20
FIELDS = [("X-Application", "progresses"), ("Content-Type", "text/plain")]


def steps():
    """Yield what the test says."""
    while said := wait("step"):
        yield said


def large():
    """Yield a piece that keeps the call waiting for its client, then what the test says."""
    yield b"x" * LARGE
    yield from steps()


def nothing():
    """Yield nothing, step by step, and something at last."""
    for _ in steps():
        yield b""
    yield b"done\n"


def application(environ, start_response):
    """Answer as the path says."""
    path, body = environ["PATH_INFO"], environ["wsgi.input"]
    if path == "/reads":
        lines = [body.readline() for _ in steps()]
        start_response("200 OK", FIELDS)
        return [b"".join(lines)]
    write = start_response("200 OK", FIELDS)
    if path == "/writes":
        for said in steps():
            write(said)
        return []
    if path == "/":
        return [b"at once\n"]
    return {"/nothing": nothing, "/large": large}.get(path, steps)()
