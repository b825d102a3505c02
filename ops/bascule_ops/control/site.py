"""Whether the site answers."""

from __future__ import annotations

import http.client
from typing import Final
from urllib.parse import urlsplit

_LIMIT: Final = 3.0  # seconds for an answer; whoever waits for longer asks again


def status_of(url: str) -> int | None:
    """The status of one GET; None where nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_LIMIT)
    try:
        target = url.partition(parts.netloc)[2]
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
