"""What links answer themselves: a small page as HTML, JSON or plain text, as the client prefers."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bascule_middleware.exchange.accept import preferred

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

FORMS = ("text/plain", "text/html", "application/json")


def refuse(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    fields: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Start a response with `status` ("404 Not Found") and a page; return its body.

    `fields` go beside those that the page has itself.
    """
    content_type, body = error_page(environ, status.partition(" ")[2])
    start_response(
        status,
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            # Caches may keep a 404 without being told to (RFC 9110 §15.5.5).
            ("Vary", "Accept"),
            *fields,
        ],
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def error_page(environ: WSGIEnvironment, title: str, trace: str = "") -> tuple[str, bytes]:
    """Return content type and body of a page that names the request's id, where it has one."""
    request_id = environ.get("bascule.request_id", "")
    # RFC 9110 §15.5.7: a client that takes none of them is still told what went wrong.
    media_type = preferred(environ.get("HTTP_ACCEPT", ""), FORMS) or FORMS[0]
    if media_type == "application/json":
        report: dict[str, Any] = {"error": title, "request_id": request_id}
        if trace:
            report["traceback"] = trace
        return media_type, json.dumps(report).encode()
    if media_type == "text/html":
        reference = f"<p>Request {html.escape(request_id)}</p>" if request_id else ""
        details = f"<pre>{html.escape(trace)}</pre>" if trace else ""
        page = (
            f'<!doctype html><html lang="en"><title>{title}</title>'
            f"<h1>{title}</h1>{reference}{details}</html>"
        )
    else:
        reference = f"Request {request_id}\n" if request_id else ""
        page = f"{title}\n{reference}{trace}"
    return f"{media_type}; charset=utf-8", page.encode("utf-8", "backslashreplace")
