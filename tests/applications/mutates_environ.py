"""Changes its environ as PEP 3333 allows: nothing of it may reach the next request."""

from __future__ import annotations


def application(environ, start_response):
    """Answer with what an earlier request left, then spoil the environ."""
    left = environ.get("left.behind", "nothing")
    version = environ["wsgi.version"]
    environ.clear()
    environ["left.behind"] = "something"
    environ["HTTP_HOST"] = "forged"
    body = f"{left} {version}\n".encode()
    start_response(
        "200 OK",
        [
            ("X-Application", "mutates_environ"),
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
