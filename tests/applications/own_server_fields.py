"""Sets Date and Server itself: the client must see each once, and the server's own."""

from __future__ import annotations


def application(environ, start_response):
    """Answer with fields that a server usually sets."""
    start_response(
        "200 OK",
        [
            ("X-Application", "own_server_fields"),
            ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Server", "an application"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "3"),
        ],
    )
    return [b"ok\n"]
