"""Writes to wsgi.errors in every way that PEP 3333 names."""

from __future__ import annotations


def application(environ, start_response):
    """Write three lines to the error stream, then answer."""
    errors = environ["wsgi.errors"]
    errors.write("first line for the log\n")
    errors.writelines(["second line for the log\n", "third line: 小明\n"])
    errors.flush()
    start_response(
        "200 OK",
        [
            ("X-Application", "writes_errors"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "3"),
        ],
    )
    return [b"ok\n"]
