"""The fields of a resource that is there as XML and as HTML.

Pure functions from fields to fields; which form a client gets is decided in `xslt`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

Fields = list[tuple[str, str]]

# Fields that speak of the bytes of the XML (RFC 9110 §8, §14.3; RFC 9530; RFC 1864), and the date
# of a document, which does not change with its stylesheet.
_OF_THE_XML = {
    "accept-ranges",
    "content-digest",
    "content-length",
    "content-md5",
    "content-type",
    "digest",
    "etag",
    "last-modified",
    "repr-digest",
}

# entity-tag = [ weak ] opaque-tag                                            (RFC 9110 §8.8.3)
_OURS = re.compile(r'(?:W/)?("xslt-[0-9a-f]+")')


def may_be_shown(fields: Fields) -> bool:
    """Return whether a response is XML that may be shown as HTML.

    Not: XHTML and pictures, which browsers show; what is encoded, or to be saved as a file; and
    what its author forbids to transform (RFC 9110 §7.7).
    """
    kind = media_type(fields)
    if kind not in ("application/xml", "text/xml"):
        if not kind.endswith("+xml") or kind == "application/xhtml+xml":
            return False
        if kind.startswith("image/"):
            return False
    return (
        _value(fields, "content-encoding") in ("", "identity")
        and not _value(fields, "content-disposition").startswith("attachment")
        and "no-transform" not in _value(fields, "cache-control")
    )


def media_type(fields: Fields) -> str:
    """Return the media type of a response, without parameters, in lower case."""
    return _value(fields, "content-type").partition(";")[0].strip()


def content_length(fields: Fields) -> int:
    """Return how long a response says it is; 0 where it does not say."""
    length = _value(fields, "content-length")
    return int(length) if length.isdecimal() else 0


def varying(fields: Fields) -> Fields:
    """Return the fields with a Vary that names Accept."""
    varies = {name.strip() for name in _value(fields, "vary").split(",")}
    return fields if {"accept", "*"} & varies else [*fields, ("Vary", "Accept")]


def tag_of(html: bytes) -> str:
    """Return the entity tag of a page: it changes with the document and with the stylesheet."""
    return f'"xslt-{hashlib.sha256(html).hexdigest()[:32]}"'


def fields_beside_html(fields: Fields, tag: str) -> Fields:
    """Return the fields of an XML response that stay when its body is HTML, with the page's tag."""
    kept = [field for field in fields if field[0].lower() not in _OF_THE_XML]
    return varying([*kept, ("ETag", tag)])


def take_known_tags(environ: WSGIEnvironment) -> set[str]:
    """Return the entity tags of pages that the client has; take its condition out of the environ.

    The application does not know these tags, and its XML may be unchanged where the stylesheet is
    not: it has to answer with the document.
    """
    tags = set(_OURS.findall(environ.get("HTTP_IF_NONE_MATCH", "")))
    if tags:
        del environ["HTTP_IF_NONE_MATCH"]
        environ.pop("HTTP_IF_MODIFIED_SINCE", None)
    return tags if environ["REQUEST_METHOD"] in ("GET", "HEAD") else set()


def _value(fields: Fields, name: str) -> str:
    """Return a field's value in lower case, that of a list as one; "" where it is not there."""
    return ", ".join(value for field, value in fields if field.lower() == name).strip().lower()
