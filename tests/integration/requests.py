"""The requests that the tests of this package send again and again."""

from __future__ import annotations


def get(target: str = "/", *fields: str, version: str = "HTTP/1.1") -> bytes:
    """Return a GET with a Host field and `fields`."""
    return head("GET", target, *fields, version=version)


def head(method: str, target: str, *fields: str, version: str = "HTTP/1.1") -> bytes:
    """Return the head of a request, its end included."""
    lines = [f"{method} {target} {version}", "Host: example.org", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(target: str, body: bytes, *fields: str) -> bytes:
    """Return a POST with its body."""
    return head("POST", target, f"Content-Length: {len(body)}", *fields) + body
