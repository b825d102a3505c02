"""One XML document into HTML, by the stylesheet that it names.

The document is semi-trusted: whatever it holds may fail, and must reach nothing, and take no more
than its share of memory. So a document type declaration is refused (entities: XML 1.0 §4.1), and
what libxml2 limits stays limited: depth (256), length of names and texts, dictionary.

Needs lxml.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from lxml import etree

from bascule_middleware.links.xslt.own_thread import in_own_thread
from bascule_middleware.links.xslt.stylesheets import Stylesheets, is_name

# RFC 3023 names text/xml, XSLT 1.0 §2.7 too; browsers take the others, text/xsl above all.
_TYPES = ("text/xsl", "application/xslt+xml", "text/xml", "application/xml")

# The name of a document's processing instruction, in every encoding that libxml2 tells by itself.
_MARKS = tuple("xml-stylesheet".encode(name) for name in ("ascii", "utf-16-le", "utf-16-be"))


class TransformationError(Exception):
    """A document that cannot be transformed; the text is for the log, not for clients."""


class Page(NamedTuple):
    """The HTML of a document, and the encoding that it is in."""

    encoding: str
    body: bytes


def transform(
    document: bytes, stylesheets: Stylesheets, configured: str | None, limit: int
) -> Page | None:
    """Return a document as HTML of at most `limit` bytes; None where it names no stylesheet.

    `configured`: the stylesheet to use, whatever the document names. Raises TransformationError,
    or StylesheetError.
    """
    if configured is None and not any(mark in document for mark in _MARKS):
        return None
    return in_own_thread(lambda: _transform(document, stylesheets, configured, limit), "xslt")


def _transform(
    document: bytes, stylesheets: Stylesheets, configured: str | None, limit: int
) -> Page | None:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise TransformationError(f"broken XML: {error}") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise TransformationError("the document has a document type declaration")
    name = configured or _named(root)
    if name is None:
        return None
    stylesheet = stylesheets.get(name)
    try:
        # A parameter makes lxml give this call a dictionary of its own. Without one, all calls
        # would write into the stylesheet's: unbounded, and several threads at a time.
        result = stylesheet(tree, parameter="0")
        if result.getroot() is None:
            raise TransformationError(f'"{name}" made no HTML')
        encoding = result.docinfo.encoding or "utf-8"
        codecs.lookup(
            encoding
        )  # what is unknown to libxml2, it would write as UTF-8 and not say so
        body = bytes(result)  # as xsl:output says
    except (etree.LxmlError, LookupError) as error:
        raise TransformationError(f'"{name}" failed: {error}') from None
    if len(body) > limit:
        raise TransformationError(f'"{name}" made more than {limit} bytes')
    return Page(encoding, body)


def _named(root: etree._Element) -> str | None:
    """Return what the document's processing instruction names; None where that is not ours.

    `<?xml-stylesheet type="text/xsl" href="catalogue.xsl"?>`, "Associating Style Sheets with XML
    documents". A URL is a stylesheet for browsers, who may fetch it; we do not.
    """
    before = list(root.itersiblings(preceding=True))
    for node in reversed(before):
        if isinstance(node, etree._ProcessingInstruction) and node.target == "xml-stylesheet":
            href = node.get("href", "")
            if node.get("type") in _TYPES and node.get("alternate") != "yes" and is_name(href):
                return href
    return None
