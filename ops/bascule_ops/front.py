"""Files in front of an application that is being written, where no nginx serves them."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_STATICFILES = "django.contrib.staticfiles"


class Files:
    """Answers with files, and leaves every other request to the application, as nginx does.

    Args:
        application: what is asked where there is no file.
        places: directories by the first part of the path: ``static`` for ``/static/``.
    """

    def __init__(self, application: WSGIApplication, places: Mapping[str, Path]) -> None:
        self._application = application
        self._places = places

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = self._file(environ)
        if path is None:
            return self._application(environ, start_response)
        file = path.open("rb")
        kind, encoding = mimetypes.guess_type(path.name)
        if encoding or not kind:
            kind = "application/octet-stream"
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        fields = [("Content-Type", kind), ("Content-Length", str(os.fstat(file.fileno()).st_size))]
        start_response("200 OK", [*fields, ("Cache-Control", "no-store")])
        wrapper: Any = environ["wsgi.file_wrapper"]
        return wrapper(file)  # type: ignore[no-any-return]

    def _file(self, environ: WSGIEnvironment) -> Path | None:
        """The file that is asked for: none that is hidden, and none that a link leads out to."""
        first, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        if first not in self._places or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        name = rest.encode("latin-1").decode("utf-8", "surrogateescape")
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if is_hidden or "\0" in name or name.endswith("/"):
            return None
        place = self._places[first].resolve()
        path = (place / name.lstrip("/")).resolve()
        return path if path.is_relative_to(place) and path.is_file() else None


def of_django(application: WSGIApplication) -> WSGIApplication | None:
    """The application with the files that Django's finders find, as its runserver has them.

    None where it is no project of Django's, or one without DEBUG or staticfiles.
    """
    if "django.conf" not in sys.modules:
        return None
    from django.apps import apps  # noqa: PLC0415 (the project's own)
    from django.conf import settings  # noqa: PLC0415

    is_meant = settings.configured and settings.DEBUG and settings.STATIC_URL
    if not (is_meant and apps.ready and apps.is_installed(_STATICFILES)):
        return None
    from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: PLC0415

    found: WSGIApplication = StaticFilesHandler(application)
    return found
