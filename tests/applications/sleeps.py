"""Takes the seconds that the query names: ?seconds=0.2. The one application that really sleeps."""

from __future__ import annotations

import time
import urllib.parse


def application(environ, start_response):
    """Sleep, then answer."""
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
    time.sleep(float(query.get("seconds", ["0"])[0]))
    start_response(
        "200 OK",
        [("X-Application", "sleeps"), ("Content-Type", "text/plain"), ("Content-Length", "6")],
    )
    return [b"slept\n"]
