"""What links answer themselves: a small page as HTML, JSON or plain text, as the client prefers."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


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
    media_type = _preferred(environ.get("HTTP_ACCEPT", ""))
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


def _preferred(accept: str) -> str:
    """Return which of the three forms an Accept field (RFC 9110 §12.5.1) likes best; first: plain.

    The weight of a range counts, not how exact it is: enough to choose among three error pages.
    """
    best, best_weight = "text/plain", 0.0
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if weight > best_weight and media_range in _FORMS:
            best, best_weight = _FORMS[media_range], weight
    return best


_FORMS = {
    "text/plain": "text/plain",
    "text/*": "text/plain",
    "*/*": "text/plain",
    "text/html": "text/html",
    "application/json": "application/json",
    "application/*": "application/json",
}
