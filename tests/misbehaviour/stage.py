"""What every misbehaving application has beside its misbehaviour: two harmless paths.

/           the process id; the probe asks for it
/misbehave  what the file is about, then the process id unless it answered by itself
/fail       raises: whoever looks at the log must still be told
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import getpid
from typing import Any, Final

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Misbehaviour = Callable[[Environ, StartResponse], Iterable[bytes] | None]

STILL_TOLD: Final = "failures are still told"


def staged(misbehave: Misbehaviour | None = None) -> Application:
    """Return the application; without a function all of the misbehaviour is at the import."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/misbehave" and misbehave is not None:
            answer = misbehave(environ, start_response)
            if answer is not None:
                return answer
        if path == "/fail":
            raise LookupError(STILL_TOLD)
        return [plain(start_response, b"%d\n" % getpid())]

    return application


def plain(start_response: StartResponse, body: bytes) -> bytes:
    """Begin an answer of plain text; return its body."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return body


def tell(environ: Environ, text: str) -> None:
    """Say something where PEP 3333 has applications say it."""
    environ["wsgi.errors"].write(f"{text}\n")
    environ["wsgi.errors"].flush()
