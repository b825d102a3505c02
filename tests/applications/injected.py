"""Status lines and fields that would break the response's framing if a server sent them."""

from __future__ import annotations

ANSWERS = {
    "/value-crlf": ("200 OK", ("X-Value", "a\r\nX-Forged: yes")),
    "/value-lf": ("200 OK", ("X-Value", "a\nX-Forged: yes")),
    "/value-cr": ("200 OK", ("X-Value", "a\rb")),
    "/value-nul": ("200 OK", ("X-Value", "a\0b")),
    "/value-beyond-latin-1": ("200 OK", ("X-Value", "小明")),
    "/value-latin-1": ("200 OK", ("X-Value", "caf\xe9")),
    "/value-spaces": ("200 OK", ("X-Value", "  in the middle  ")),
    "/value-empty": ("200 OK", ("X-Value", "")),
    "/name-space": ("200 OK", ("X Name", "a")),
    "/name-colon": ("200 OK", ("X-Name:", "a")),
    "/name-crlf": ("200 OK", ("X-Name\r\nX-Forged", "a")),
    "/name-empty": ("200 OK", ("", "a")),
    "/status-crlf": ("200 OK\r\nX-Forged: yes", ("X-Value", "a")),
    "/status-no-reason": ("200", ("X-Value", "a")),
    "/status-empty-reason": ("200 ", ("X-Value", "a")),
    "/status-two-digits": ("20 OK", ("X-Value", "a")),
    "/status-word": ("OK", ("X-Value", "a")),
    "/status-unknown": ("299 Something of its own", ("X-Value", "a")),
    "/status-latin-1": ("200 Tr\xe8s bien", ("X-Value", "a")),
    "/status-600": ("600 Beyond", ("X-Value", "a")),
}


def application(environ, start_response):
    """Answer with what the path names."""
    status, field = ANSWERS[environ["PATH_INFO"]]
    start_response(
        status,
        [("X-Application", "injected"), field, ("Content-Type", "text/plain"),
         ("Content-Length", "3")],
    )  # fmt: skip
    return [b"ok\n"]
