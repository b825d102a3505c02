"""Keeps as many bytes as the query says, for good: ?bytes=1000000. /kept waits for a second."""

from __future__ import annotations

import time
import urllib.parse

KEPT = []


def application(environ, start_response):
    """Grow, then answer."""
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
    KEPT.append(b"x" * int(query.get("bytes", ["0"])[0]))
    if environ["PATH_INFO"] == "/kept":
        time.sleep(1.5)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"grown"]
