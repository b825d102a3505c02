"""Ends as no request should: by what is meant to end a process, or by what it has no more of.

/exit /interrupt /recursion /memory   in the call
/stream/exit and so on                in the generator, after a block
/threads/exit and so on               in a call that is slow, beside others
/clock?SECONDS                        sets the wall clock, as far as Python sees it, by so much
"""

from __future__ import annotations

import sys
import time

REAL = time.time


def recurse(depth=0):
    """Call itself."""
    return recurse(depth + 1) + 1


def interrupt():
    """Do as ^C does."""
    raise KeyboardInterrupt


ENDS = {
    "exit": lambda: sys.exit(3),
    "interrupt": interrupt,
    "recursion": recurse,
    "memory": lambda: bytes(1 << 60),
}


def blocks(end):
    """Yield a block, and end."""
    yield b"begun\n"
    end()


def application(environ, start_response):
    """End, or answer."""
    *where, name = environ["PATH_INFO"][1:].split("/")
    if name == "clock":
        offset = float(environ["QUERY_STRING"])
        time.time = lambda: REAL() + offset
    if where == ["threads"]:
        time.sleep(0.02)
    if where != ["stream"] and name in ENDS:
        ENDS[name]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return blocks(ENDS[name]) if where == ["stream"] else [b"well\n"]
