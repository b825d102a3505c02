"""The hello application: `/` greets the web, `/alice` greets alice.

A plain PEP 3333 callable that answers every method alike, so that one address serves a browser,
a health check and a load test of POST requests.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 200 with a greeting for the path, escaped, in UTF-8."""
    body = f"<h1>Hello, {html.escape(name_in(environ.get('PATH_INFO', '')))}!</h1>".encode()
    start_response(
        "200 OK",
        [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    # RFC 9110 §9.3.2: HEAD has the fields of GET and no body; some servers leave that to us.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def name_in(path_info: str) -> str:
    """Return the name in a path: all of it but the slashes at its ends; "web" where none is left.

    `path_info` holds bytes as latin-1 characters (PEP 3333, "Unicode Issues"). Bytes that are not
    UTF-8 become U+FFFD.
    """
    path = path_info.encode("latin-1").decode("utf-8", errors="replace")
    return path.strip("/").strip() or "web"
