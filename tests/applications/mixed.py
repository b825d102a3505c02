"""Every sort of response at once; each byte of a body tells which request it answers.

/fast/ID     at once
/slow/ID     after a wait that makes other calls go beside it
/spin/ID     after some work that needs the interpreter
/stream/ID   a generator of many small blocks
/long/ID     a generator of more than a client's buffers hold
/whole/ID    the same, as one list
"""

from __future__ import annotations

import time

SLOW = 0.008  # seconds; more than the server lets one call delay the others
BLOCKS = 40
LONG = 24_000  # lines, about 290 kB


def line(target):
    """Return the bytes that a request's response repeats."""
    return target.encode("latin-1") + b"\n"


def body(target):
    """Return the whole body of the response to a target."""
    kind = target.split("/")[1]
    return line(target) * {"stream": BLOCKS, "long": LONG, "whole": LONG}.get(kind, 1)


def pieces(data, size):
    """Yield the data in pieces."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def application(environ, start_response):
    """Answer as the path says."""
    target = environ["PATH_INFO"]
    kind = target.split("/")[1]
    if kind == "slow":
        time.sleep(SLOW)  # stands for a database
    elif kind == "spin":
        sum(range(50_000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if kind == "stream":
        return pieces(body(target), len(line(target)))
    if kind == "long":
        return pieces(body(target), 16_384)
    return [body(target)]
