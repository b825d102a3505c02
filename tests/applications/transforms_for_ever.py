"""XML under the link `xslt`, by a stylesheet that takes years; it stands beside this file."""

from __future__ import annotations

from pathlib import Path

from bascule_middleware.links.xslt.xslt import Xslt


def document(environ, start_response):
    """Answer a document that names the stylesheet, or at /text a text."""
    if environ["PATH_INFO"] == "/text":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return [b"text"]
    start_response("200 OK", [("Content-Type", "application/xml")])
    return [b'<?xml-stylesheet type="text/xsl" href="transforms_for_ever.xsl"?><a/>']


application = Xslt(document, stylesheets=Path(__file__).parent)
