"""Answers at once; below /slow after three seconds, saying at their start that it began.

Mounted into the server's container by compose.slow.yml.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SLOW_SECONDS = 3


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path and the digest of the body."""
    path = environ["PATH_INFO"]
    if path.startswith("/slow"):
        sys.stdout.write(
            json.dumps({"time": "", "level": "info", "event": "began", "path": path}) + "\n"
        )
        sys.stdout.flush()
        time.sleep(SLOW_SECONDS)
    digest = hashlib.sha256(environ["wsgi.input"].read()).hexdigest()
    body = f"{path} {digest}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
