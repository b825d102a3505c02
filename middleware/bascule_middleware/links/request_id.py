"""Gives every request an id; one that it made it returns as X-Request-ID.

The id joins nginx's log lines, ours and the application's. It is taken over only from a peer that
is trusted to make ids: a client that could choose its own could hide among another's log lines.
Such a peer knows the id, and tells the client.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bascule_middleware.exchange.trust import trust
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

# What goes unquoted into a log line, a shell command and a URL.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch


class RequestId:
    """Set `bascule.request_id` and `HTTP_X_REQUEST_ID` in the environ."""

    def __init__(self, application: WSGIApplication, *, trusted: Sequence[str] = ("unix",)) -> None:
        """`trusted`: the peers whose X-Request-ID is taken over: networks, "unix"."""
        self._application = application
        try:
            self._trusts = trust(trusted)
        except ValueError as error:
            raise SettingError("trusted", str(error)) from None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application under an id."""
        request_id = environ.get("HTTP_X_REQUEST_ID", "")
        if _WELL_FORMED(request_id) and self._trusts(environ.get("REMOTE_ADDR", "unknown")):
            environ["bascule.request_id"] = request_id
            return self._application(environ, start_response)
        request_id = os.urandom(16).hex()  # the form of nginx's $request_id
        environ["HTTP_X_REQUEST_ID"] = environ["bascule.request_id"] = request_id

        def start_with_id(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            # A new list: the application may use its own for many responses.
            fields = [field for field in headers if field[0].lower() != "x-request-id"]
            fields.append(("X-Request-ID", request_id))
            return start_response(status, fields, exc_info)

        return self._application(environ, start_with_id)
