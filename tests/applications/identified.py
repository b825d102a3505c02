"""Sets X-Request-ID and rewrites REMOTE_ADDR in the environ, as two links of the chain do."""

from __future__ import annotations


def application(environ, start_response):
    """Answer with the id that the query names."""
    environ["REMOTE_ADDR"] = "203.0.113.9"
    start_response(
        "200 OK",
        [
            ("X-Application", "identified"),
            ("X-Request-ID", environ["QUERY_STRING"] or "none-given"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "3"),
        ],
    )
    return [b"ok\n"]
