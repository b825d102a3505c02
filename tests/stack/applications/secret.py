"""Answers with the digest of its secret, read from the file that DATABASE_PASSWORD_FILE names.

Mounted into the server's container by tests/stack/test_secrets.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PASSWORD = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with proof that the secret is known."""
    body = hashlib.sha256(PASSWORD.encode()).hexdigest().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
