"""Transforms an XML response with its XSL stylesheet into HTML, for clients that prefer HTML.

One resource has two representations then: the application's XML, and HTML. Which one a client gets
follows from its Accept (RFC 9110 §12.5.1), so both carry `Vary: Accept`; and the HTML has an entity
tag of its own, made from its bytes, so that neither passes for the other in a cache (§8.8.3.3).

Whoever writes the document may choose among the stylesheets of one directory, and do nothing else:
`transformation` and `stylesheets` draw these borders. What fails is answered 500, and only the log
says why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bascule_middleware.exchange.accept import preferred
from bascule_middleware.exchange.error_page import refuse
from bascule_middleware.exchange.path_prefix import LongestPrefix
from bascule_middleware.exchange.request_path import full_path, path_text
from bascule_middleware.links.xslt.held_response import Body, Fields, HeldResponse, close_iterable
from bascule_middleware.links.xslt.html_variant import (
    content_length,
    fields_beside_html,
    may_be_shown,
    media_type,
    tag_of,
    take_known_tags,
    varying,
)
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 1024 * 1024  # a document for people to read is far smaller
OUTPUT_LIMIT = 8 * 1024 * 1024  # markup is a few times longer than the data in it

# No content, or a part of it, which is no document.
_WITHOUT_A_DOCUMENT = ("204", "205", "206", "304")

_log = logging.getLogger("bascule.xslt")


class Xslt:
    """Answer HTML where the application answers XML, the document has a stylesheet, and it fits."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        stylesheets: Path,
        under: Sequence[str] = ("/",),
        paths: Mapping[str, str] = {},
        limit: int = LIMIT,
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        """Compile the stylesheets that `paths` names.

        `stylesheets`: the directory from which all stylesheets come; `under`: the path prefixes
        whose responses are looked at; `paths`: the stylesheets to use, by path prefix, whatever a
        document names; `limit`: bytes of XML, longer responses are left alone; `output_limit`:
        bytes of HTML, longer results fail.
        """
        try:
            from bascule_middleware.links.xslt.stylesheets import StylesheetError, Stylesheets  # noqa: PLC0415
            from bascule_middleware.links.xslt.transformation import TransformationError, transform  # noqa: PLC0415
        except ModuleNotFoundError as error:
            message = f'the link needs the package "{error.name}"; install it: pip install lxml'
            raise SettingError("use", message) from None
        for name, number in (("limit", limit), ("output_limit", output_limit)):
            if number < 1:
                raise SettingError(name, f"{number} is not a number of bytes, 1 or more")
        self._application = application
        self._limit = limit
        self._output_limit = output_limit
        self._failures = (StylesheetError, TransformationError)
        self._transform = transform
        try:
            self._stylesheets = Stylesheets(stylesheets)
        except StylesheetError as error:
            raise SettingError("stylesheets", str(error)) from None
        for path, name in paths.items():
            try:
                self._stylesheets.get(name)
            except StylesheetError as error:
                raise SettingError("paths", f'"{path}": {error}', path) from None
        self._stylesheet_for = LongestPrefix(paths, "paths").find
        self._is_under = LongestPrefix(dict.fromkeys(under, True), "under").find

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application; hold its response back where it may become HTML."""
        path = full_path(environ)  # now: frameworks decode it in place
        if not self._is_under(path):
            return self._application(environ, start_response)
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        # The application may change its environ, and a HEAD may have to be asked again as GET.
        as_get = environ | {"REQUEST_METHOD": "GET"} if is_head else {}
        known_tags = take_known_tags(environ)
        response = HeldResponse(
            start_response,
            lambda status, fields: self._may_become_html(environ, status, fields),
            lambda fields: varying(fields) if may_be_shown(fields) else fields,
            self._limit,
        )
        iterable = self._application(environ, response.start_response)
        try:
            passed = response.gather(iterable)
            if passed is None and not is_head:
                stylesheet = self._stylesheet_for(path)
                blocks = self._answer(environ, response, stylesheet, known_tags, start_response)
                passed = Body(blocks, iterable) if hasattr(iterable, "close") else blocks
        except BaseException:
            close_iterable(iterable)
            raise
        if response.outgrew:
            _log_untouched(environ, self._limit)
        if passed is None:
            # RFC 9110 §9.3.2: the fields of GET. They follow from the document, which HEAD lacks.
            close_iterable(iterable)
            return Body([], self(as_get, start_response))
        return passed

    def _may_become_html(self, environ: WSGIEnvironment, status: str, fields: Fields) -> bool:
        if status[:3] in _WITHOUT_A_DOCUMENT or not may_be_shown(fields):
            return False
        forms = (media_type(fields), "text/html")
        if preferred(environ.get("HTTP_ACCEPT", ""), forms) != "text/html":
            return False
        if content_length(fields) > self._limit:
            _log_untouched(environ, self._limit)
            return False
        return True

    def _answer(
        self,
        environ: WSGIEnvironment,
        response: HeldResponse,
        stylesheet: str | None,
        known_tags: set[str],
        start_response: StartResponse,
    ) -> list[bytes]:
        """Start the response that is held, as HTML where it can be; return its body."""
        try:
            page = self._transform(response.body, self._stylesheets, stylesheet, self._output_limit)
        except self._failures as error:
            _log_failure(environ, error)
            return refuse(environ, start_response, "500 Internal Server Error")
        if page is None:
            return response.release()
        tag = tag_of(page.body)
        fields = fields_beside_html(response.fields, tag)
        if tag in known_tags and response.status.startswith("200"):
            start_response("304 Not Modified", fields)
            return []
        content_type = ("Content-Type", f"text/html; charset={page.encoding.lower()}")
        length = ("Content-Length", str(len(page.body)))
        start_response(response.status, [*fields, content_type, length])
        return [page.body]


def _log_failure(environ: WSGIEnvironment, error: Exception) -> None:
    extra = _extra(environ, "xslt_failed")
    # %r: what libxml2 quotes from the document must not begin a line of its own.
    _log.error("%r cannot be shown as HTML: %r", extra["path"], str(error), extra=extra)


def _log_untouched(environ: WSGIEnvironment, limit: int) -> None:
    extra = _extra(environ, "xslt_too_long")
    _log.warning("%r stays XML: it is longer than %d bytes", extra["path"], limit, extra=extra)


def _extra(environ: WSGIEnvironment, event: str) -> dict[str, str]:
    request_id = environ.get("bascule.request_id", "")
    return {"event": event, "request_id": request_id, "path": path_text(environ)}
