"""/hold keeps the interpreter's lock for a minute, as a call in C may; anything else does not."""

from __future__ import annotations

import ctypes


def application(environ, start_response):
    """Answer, perhaps after a minute in which no other thread runs."""
    if environ["PATH_INFO"] == "/hold":
        ctypes.PyDLL(None).sleep(60)  # PyDLL, unlike CDLL, does not release the lock
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"held"]
