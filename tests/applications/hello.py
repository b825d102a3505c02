"""The plainest application: one block, its length stated. HEAD gets the same fields."""

from __future__ import annotations

BODY = b"Hello, web!\n"


def application(environ, start_response):
    """Answer every request alike."""
    start_response(
        "200 OK",
        [
            ("X-Application", "hello"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(BODY))),
        ],
    )
    return [BODY]
