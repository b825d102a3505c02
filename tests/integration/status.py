"""Asks a server over its status socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path

ANSWER_DEADLINE = 1.0  # seconds that a process may take to tell its status, whatever hangs


def read_status(path: Path) -> dict:
    """Return the document; raise TimeoutError where it does not come within the deadline."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(ANSWER_DEADLINE)
        sock.connect(str(path))
        received = b""
        while data := sock.recv(1 << 16):
            received += data
    found = json.loads(received)
    assert isinstance(found, dict)
    return found
