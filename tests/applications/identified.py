"""Gives its request an id and another address in the environ, as two links of the chain do."""

from __future__ import annotations


def application(environ, start_response):
    """Take the id that the query names."""
    environ["REMOTE_ADDR"] = "203.0.113.9"
    environ["HTTP_X_REQUEST_ID"] = environ["QUERY_STRING"] or "none-given"
    start_response(
        "200 OK",
        [
            ("X-Application", "identified"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "3"),
        ],
    )
    return [b"ok\n"]
