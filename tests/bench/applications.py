"""What the benchmark serves: bare WSGI applications, one a scenario, without the chain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

HELLO: Final = b"Hello, World!"
PAGE: Final = b"x" * 65536  # 64 KiB: a page with its data, or a small image
CHUNK: Final = b"x" * 128
CHUNKS: Final = 100
SLEEP_SECONDS: Final = 0.010  # a query to a database
CPU_SECONDS: Final = 0.001  # a template rendered
SLOW_SECONDS: Final = 0.050  # the slow ones among many fast ones
READ_BYTES: Final = 65536

# The file that `download` sends.
FILE_VARIABLE: Final = "BASCULE_BENCH_FILE"


def _fields(length: int) -> list[tuple[str, str]]:
    return [("Content-Type", "text/plain"), ("Content-Length", str(length))]


def hello(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer at once."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def traffic(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as a site does: 304 to whoever has the page already; what a form sends is read."""
    if length := environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read(int(length))
    method = environ["REQUEST_METHOD"]
    if method == "GET" and _is_conditional(environ):
        # The length is that of the page (RFC 9110 §8.6): some servers cannot do without.
        start_response("304 Not Modified", [("ETag", '"1"'), ("Content-Length", "13")])
        return []
    content = hello(environ, start_response)
    return [] if method == "HEAD" else content


def _is_conditional(environ: Environ) -> bool:
    return "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ


def page(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with 64 KiB in one piece."""
    start_response("200 OK", _fields(len(PAGE)))
    return [PAGE]


def stream(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with 100 pieces of unannounced length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _pieces()


def _pieces() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


def sleep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Wait 10 ms for something outside the process."""
    time.sleep(SLEEP_SECONDS)
    return hello(environ, start_response)


def compute(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Compute for 1 ms of this thread's own processor time."""
    end = time.thread_time() + CPU_SECONDS
    while time.thread_time() < end:
        pass
    return hello(environ, start_response)


def mixed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer at once, but wait 50 ms where the path is ``/slow``."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(SLOW_SECONDS)
    return hello(environ, start_response)


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole body in pieces and answer with its length."""
    body, length = environ["wsgi.input"], 0
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (piece := body.read(min(READ_BYTES, left))):
        length += len(piece)
        left -= len(piece)
    answer = str(length).encode()
    start_response("200 OK", _fields(len(answer)))
    return [answer]


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send a file as the server does it best (``wsgi.file_wrapper``)."""
    from pathlib import Path

    path = Path(os.environ[FILE_VARIABLE])
    start_response("200 OK", _fields(path.stat().st_size))
    # The server closes it (PEP 3333, "Optional Platform-Specific File Handling").
    file = path.open("rb")
    wrapper: Callable[..., Iterable[bytes]] = environ.get("wsgi.file_wrapper", _read)
    return wrapper(file, READ_BYTES)


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Send the file in pieces, for servers without ``wsgi.file_wrapper``."""
    with file:
        while piece := file.read(size):
            yield piece
