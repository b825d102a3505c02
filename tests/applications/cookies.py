"""Sets four cookies: the fields must arrive as they are, in order, never joined."""

from __future__ import annotations


def application(environ, start_response):
    """Answer with Set-Cookie four times, other fields between."""
    start_response(
        "200 OK",
        [
            ("X-Application", "cookies"),
            ("Set-Cookie", "b=2; Path=/; Expires=Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Content-Type", "text/plain"),
            ("Set-Cookie", "a=1; HttpOnly"),
            ("set-cookie", 'c="quoted, comma"'),
            ("Content-Length", "3"),
            ("Set-Cookie", "b=3"),
        ],
    )
    return [b"ok\n"]
