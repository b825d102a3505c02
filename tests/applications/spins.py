"""Computes for as many seconds as the query says, and never lets go of the interpreter by itself."""

from __future__ import annotations

import time


def application(environ, start_response):
    """Compute, then answer."""
    end = time.monotonic() + float(environ["QUERY_STRING"] or 0)
    while time.monotonic() < end:
        pass
    start_response(
        "200 OK",
        [("X-Application", "spins"), ("Content-Type", "text/plain"), ("Content-Length", "5")],
    )
    return [b"spun\n"]
