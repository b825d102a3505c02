"""The catalogue application: an XML document that names the stylesheet which makes it a page.

It knows nothing of HTML. Under a chain with the link `xslt`, a client that prefers HTML gets
catalogue.xml through catalogue.xsl; every other gets the XML.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_DOCUMENT = Path(__file__).with_name("catalogue.xml").read_bytes()
_TAG = f'"{hashlib.sha256(_DOCUMENT).hexdigest()[:32]}"'


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer the catalogue at the root of where this is mounted; 404 elsewhere."""
    if environ.get("PATH_INFO", "") not in ("", "/"):
        return answer(environ, start_response, "404 Not Found", "text/plain", b"Not Found\n")
    # RFC 9110 §13.1.2. The tag is ours, and in hexadecimal digits: no need to read the list.
    if _TAG in environ.get("HTTP_IF_NONE_MATCH", ""):
        start_response("304 Not Modified", [("ETag", _TAG)])
        return []
    return answer(environ, start_response, "200 OK", "application/xml", _DOCUMENT, ("ETag", _TAG))


def answer(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    content_type: str,
    body: bytes,
    *fields: tuple[str, str],
) -> list[bytes]:
    """Start a response; return its body, which HEAD has not."""
    length = ("Content-Length", str(len(body)))
    start_response(status, [("Content-Type", content_type), length, *fields])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
