"""An application with faults to rehearse with; never where others can reach it.

`app/examples/drill.toml` mounts it beside the hello application, and the runbooks' tests run
there. Everything is bounded: a hang ends after ten minutes, memory has a most.

/drill/slow?seconds=2    answers late
/drill/hang              does not answer, as a call without a time limit to a peer that is gone
/drill/hold              the same, and no other thread of the process runs meanwhile
/drill/grow?mebibytes=8  keeps that much memory for good
/drill/raise             raises
/drill/crash             ends the process at once, as a fault in a C extension does
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LONGEST = 600  # seconds
MOST = 512  # MiB that one request may ask for

_kept: list[bytes] = []


class DrillError(Exception):
    """Raised on purpose."""


def slow(query: dict[str, str]) -> None:
    """Answer late."""
    time.sleep(min(float(query.get("seconds", "2")), LONGEST))


def hang(_query: dict[str, str]) -> None:
    """Wait for what does not come."""
    threading.Event().wait(LONGEST)


def hold(_query: dict[str, str]) -> None:
    """Hold the interpreter's lock: PyDLL, unlike CDLL, does not release it."""
    ctypes.PyDLL(None).sleep(LONGEST)


def grow(query: dict[str, str]) -> None:
    """Keep memory; random bytes, so that the pages are really used."""
    for _ in range(min(int(query.get("mebibytes", "8")), MOST)):
        _kept.append(os.urandom(1024) * 1024)


def fail(_query: dict[str, str]) -> None:
    """Raise."""
    raise DrillError("on purpose")


def crash(_query: dict[str, str]) -> None:
    """End the process."""
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: dict[str, Callable[[dict[str, str]], None]] = {
    "/slow": slow,
    "/hang": hang,
    "/hold": hold,
    "/grow": grow,
    "/raise": fail,
    "/crash": crash,
}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Bring about the fault that the path below the mount names, then answer."""
    fault = FAULTS.get(environ["PATH_INFO"])
    if fault is None:
        status, body = "404 Not Found", b"no such fault\n"
    else:
        fault(dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""))))
        status, body = "200 OK", b"done\n"
    start_response(
        status,
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]
