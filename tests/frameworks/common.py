"""What the sites have in common, so that each shows only what its framework does.

Every site answers:

    GET  /                  the framework's name
    GET  /hello/NAME        "Hello, NAME!", or another greeting by ?greeting=
    GET  /where             what the framework makes of the request's origin, as JSON
    POST /form              redirects to /hello/NAME, for the field "name"
    POST /upload            length and digest of the file "file", and the field "note", as JSON
    GET  /download          a file, with a name for whoever saves it, and validators
    GET  /stream            two lines, the second once GET /release has been answered
    GET  /cookies           sets two cookies
    GET  /cookies/seen      the cookies that came, as JSON
    GET  /error/NAME        raises
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

# The file that /download sends: larger than any socket's buffer.
DOWNLOAD = Path(os.environ.get("SITE_DIRECTORY", "/nonexistent")) / "download.bin"
DOWNLOAD_NAME = "report.bin"
STREAM_LIMIT = 20.0  # seconds that /stream waits for /release

log = logging.getLogger("site")
_released = threading.Event()


class OnPurposeError(Exception):
    """What /error raises."""


def stream() -> Iterator[bytes]:
    """Yield a line, wait until `release` is called, and yield another one."""
    _released.clear()
    yield b"first\n"
    yield b"second\n" if _released.wait(STREAM_LIMIT) else b"too late\n"


def release() -> str:
    """Let the stream go on."""
    _released.set()
    return "released"


def digest(name: str, file: IO[bytes], note: str) -> dict[str, Any]:
    """Return what /upload tells about a file."""
    seen = hashlib.sha256()
    size = 0
    while block := file.read(65536):
        seen.update(block)
        size += len(block)
    return {"filename": name, "size": size, "sha256": seen.hexdigest(), "note": note}


def where(
    environ: dict[str, Any], url: str, secure: bool, host: str, address: str
) -> dict[str, Any]:
    """Return what /where tells, and log it with the request's id."""
    request_id = environ["bascule.request_id"]
    log.warning("where is %s", url, extra={"request_id": request_id})
    return {"url": url, "secure": secure, "host": host, "address": address, "id": request_id}
