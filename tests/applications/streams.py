"""Does to the standard streams what applications do, at import ($STREAMS) and in calls (the path).

A call does it, stays in there for as many seconds as the query says, and prints to both; it answers
with what that raised, if anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import time


class Bare:
    """A stream with what print() needs, and nothing besides."""

    def write(self, text):
        """Take it."""
        return len(text)


class Raises:
    """A stream that raises, whatever it is asked for."""

    def __getattribute__(self, name):
        """Raise."""
        raise RuntimeError(f"no {name}")


def replace(out, err):
    """Put other streams in place of these."""
    sys.stdout, sys.stderr = out, err


def close_descriptors():
    """Close what is under the streams, as a library that makes a daemon does."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            os.close(number)


def detach():
    """Take what is under the streams, which raises from then on."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):
            stream.detach()


WAYS = {
    "as-they-are": lambda: None,
    "none": lambda: replace(None, None),
    "bare": lambda: replace(Bare(), Bare()),
    "raising": lambda: replace(Raises(), Raises()),
    "text": lambda: replace(io.StringIO(), io.StringIO()),
    "closed": lambda: (sys.stdout.close(), sys.stderr.close()),
    "detached": detach,
    "descriptors": close_descriptors,
    "hold": lambda: ctypes.PyDLL(None).sleep(60),  # with the interpreter's lock
}
WAYS[os.environ.get("STREAMS") or "as-they-are"]()


def application(environ, start_response):
    """Do it, and answer."""
    way, seconds = environ["PATH_INFO"][1:], float(environ["QUERY_STRING"] or 0)
    raised = []
    if way == "redirect":
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            time.sleep(seconds)
    elif way in WAYS:
        WAYS[way]()
        time.sleep(seconds)
    if way != "quiet":
        for stream in (sys.stdout, sys.stderr):
            try:
                print("printed", file=stream, flush=True)
            except Exception as error:  # as it is the application's own doing
                raised.append(repr(error))
        environ["wsgi.errors"].write("told to wsgi.errors\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["\n".join(raised).encode() or b"well"]
