"""The site's address, and whether it answers there."""

from __future__ import annotations

import http.client
from typing import Final
from urllib.parse import urlsplit

_LIMIT: Final = 3.0  # seconds for an answer; whoever waits for longer asks again


def url(port: int | str, path: str) -> str:
    """The address of a path of the site on this machine."""
    return f"http://localhost{'' if str(port) == '80' else f':{port}'}{path}"


def status_of(address: str) -> int | None:
    """The status of one GET; None where nothing answers."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection("localhost", parts.port or 80, timeout=_LIMIT)
    try:
        target = address.partition(parts.netloc)[2]
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
