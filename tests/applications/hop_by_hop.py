"""Sets a field that belongs to one connection, which PEP 3333 forbids an application."""

from __future__ import annotations

FIELDS = {
    "/connection": ("Connection", "close"),
    "/keep-alive": ("Keep-Alive", "timeout=5"),
    "/transfer-encoding": ("Transfer-Encoding", "chunked"),
    "/upgrade": ("Upgrade", "h2c"),
    "/te": ("TE", "trailers"),
    "/trailers": ("Trailers", "X-Sum"),
    "/proxy-authenticate": ("Proxy-Authenticate", "Basic"),
}


def application(environ, start_response):
    """Answer with the field that the path names."""
    field = FIELDS.get(environ["PATH_INFO"], FIELDS["/connection"])
    start_response(
        "200 OK",
        [("X-Application", "hop_by_hop"), field, ("Content-Type", "text/plain"),
         ("Content-Length", "3")],
    )  # fmt: skip
    return [b"ok\n"]
