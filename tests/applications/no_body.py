"""Statuses whose responses have no body, with and without one from the application.

/204, /304            an empty list
/204-body, /304-body  a body that must not reach the client
/304-length           the length that a 200 would have had
/204-length           a Content-Length that RFC 9110 §8.6 forbids in a 204
/205                  Reset Content
/100, /101, /199      not for an application to send
"""

from __future__ import annotations

STATUSES = {
    "204": "204 No Content",
    "205": "205 Reset Content",
    "304": "304 Not Modified",
    "100": "100 Continue",
    "101": "101 Switching Protocols",
    "199": "199 Whatever",
}


def application(environ, start_response):
    """Answer with the status that the path names."""
    code, _, variant = environ["PATH_INFO"].removeprefix("/").partition("-")
    fields = [("X-Application", "no_body")]
    if code == "205":
        fields.append(("Content-Type", "text/plain"))
    if variant == "length":
        fields.append(("Content-Length", "8"))
    start_response(STATUSES.get(code, STATUSES["204"]), fields)
    return [b"a body!\n"] if variant == "body" else []
