"""Answers with its environ as JSON: the values of strings, and of every wsgi.* key what it is.

A pair (type, value) stands for each key; objects that a server makes for itself are described by
those methods that PEP 3333 wants of them, since their types differ from server to server.
"""

from __future__ import annotations

import json

STREAM_METHODS = {
    "wsgi.input": ("read", "readline", "readlines", "__iter__"),
    "wsgi.errors": ("flush", "write", "writelines"),
}


def describe(key, value):
    """Return a JSON value that two servers agree on where they agree on `value`."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return [type(value).__name__, value]
    if isinstance(value, tuple):
        return ["tuple", list(value)]
    if key in STREAM_METHODS:
        return ["stream", [name for name in STREAM_METHODS[key] if hasattr(value, name)]]
    return ["object", "callable" if callable(value) else type(value).__name__]


def application(environ, start_response):
    """Read the body to its end, then answer with environ and body."""
    body = environ["wsgi.input"].read(1 << 24)
    report = {
        "type": type(environ).__name__,
        "environ": {key: describe(key, environ[key]) for key in sorted(environ)},
        "body": body.decode("latin-1"),
        "past the end": environ["wsgi.input"].read(1).decode("latin-1"),
    }
    text = json.dumps(report, sort_keys=True).encode()
    start_response(
        "200 OK",
        [
            ("X-Application", "environ_dump"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(text))),
        ],
    )
    return [text]
