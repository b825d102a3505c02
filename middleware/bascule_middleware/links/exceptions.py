"""Turns an exception of the application into a log line with its traceback and a 500.

The exception may come from the call, from the iteration or from `close()`. Where the server has
sent the head of the response already, no 500 can follow: the exception goes on to the server, which
cuts the connection, so that the client sees that the response is not whole.

Streams stay streams: nothing is read ahead. Lists, tuples and `wsgi.file_wrapper` instances go to
the server as they are, which can then count their bytes or use sendfile.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bascule_middleware.exchange.error_page import error_page
from bascule_middleware.exchange.request_path import path_text

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

_log = logging.getLogger("bascule.exceptions")


class Exceptions:
    """Answer 500 where the application raises. KeyboardInterrupt and SystemExit pass."""

    def __init__(self, application: WSGIApplication, *, debug: bool = False) -> None:
        """`debug`: put the traceback into the response. It shows code and data to everybody."""
        self._application = application
        self._debug = debug

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application; guard what it returns where iterating that can raise."""
        try:
            iterable = self._application(environ, start_response)
        except Exception:
            return self.answer(environ, start_response)
        if type(iterable) in (list, tuple) or _is_file_wrapper(environ, iterable):
            return iterable
        try:
            iterator = iter(iterable)
        except Exception:
            _close(environ, iterable)
            return self.answer(environ, start_response)
        guard = _SizedGuard if hasattr(iterable, "__len__") else _Guard
        return guard(self, environ, start_response, iterable, iterator)

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Log the exception being handled and start a 500; return its body.

        Raises that exception again where the server says, by doing so, that the head is gone.
        """
        exc_info = sys.exc_info()
        try:
            trace = "".join(traceback.format_exception(*exc_info)) if self._debug else ""
            content_type, body = error_page(environ, "Internal Server Error", trace)
            fields = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
            start_response("500 Internal Server Error", fields, exc_info)
            _log_exception(environ, "the application raised", exc_info)
        except ConnectionError:
            raise  # the client went while the application wrote to it: no failure of either
        except Exception:
            _log_exception(environ, "the application raised after the response had begun", exc_info)
            raise
        finally:
            exc_info = None  # type: ignore[assignment]  # its frames refer to this one: a cycle
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


class _Guard:
    """The application's iterable, with exceptions answered; closes it exactly once."""

    def __init__(
        self,
        link: Exceptions,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        iterable: Iterable[bytes],
        iterator: Iterator[bytes],
    ) -> None:
        self._link = link
        self._environ = environ
        self._start_response = start_response
        self._iterable: Iterable[bytes] | None = iterable
        self._iterator = iterator

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception:
            self._iterator = iter(self._link.answer(self._environ, self._start_response))
            return next(self._iterator)

    def close(self) -> None:
        iterable, self._iterable = self._iterable, None
        _close(self._environ, iterable)


class _SizedGuard(_Guard):
    """A guard for an iterable that knows its length: one block lets a server count its bytes."""

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]  # chosen for having a length


def _is_file_wrapper(environ: WSGIEnvironment, iterable: object) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(iterable, wrapper)


def _close(environ: WSGIEnvironment, iterable: object) -> None:
    """Close the application's iterable. A failure is logged only: the response is complete."""
    close = getattr(iterable, "close", None)
    if close is not None:
        try:
            close()
        except Exception:
            _log_exception(environ, "close() raised", sys.exc_info())


def _log_exception(environ: WSGIEnvironment, what: str, exc_info: OptExcInfo) -> None:
    method = environ.get("REQUEST_METHOD", "")
    path = path_text(environ)
    _log.error(
        "%s %r: %s",  # %r: a line break in the path must not begin a line of its own
        method,
        path,
        what,
        exc_info=exc_info,
        extra={
            "event": "exception",
            "request_id": environ.get("bascule.request_id", ""),
            "method": method,
            "path": path,
        },
    )
