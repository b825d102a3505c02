"""Answers the client on this machine with what went wrong in a request.

That is what the application raises, and what it, its framework or a link of its chain has logged,
or written to ``wsgi.errors``, before it answered 500 itself.
"""

from __future__ import annotations

import itertools
import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from bascule.development import page, report
from bascule.errors import ClientDisconnected, LoadError
from bascule.told import event_log

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FAILED: Final = "500 Internal Server Error"
ELSEWHERE: Final = b"It cannot be served; the terminal says why.\n"
# A proxy on this machine sets these for clients that are elsewhere.
_FORWARDED: Final = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")
_LOOPBACK: Final = ("::1", "::ffff:127.0.0.1", "localhost")
_IPV4: Final = re.compile(r"127(\.[0-9]{1,3}){3}")


def is_near(environ: WSGIEnvironment) -> bool:
    """Whether listener and client are on this machine's loopback, and no proxy is between them.

    And whether it is asked for by a name of the loopback's: a page of somebody else's in the
    browser may have a name that leads here (DNS rebinding).
    """
    host = environ.get("HTTP_HOST", "localhost")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return (
        _is_loopback(environ.get("REMOTE_ADDR", ""))
        and _is_loopback(environ.get("SERVER_NAME", ""))
        and (_is_loopback(name.lower()) or name.lower().endswith(".localhost"))
        and not any(field in environ for field in _FORWARDED)
    )


def _is_loopback(address: str) -> bool:
    return address in _LOOPBACK or _IPV4.fullmatch(address) is not None


def stand_in(error: LoadError) -> WSGIApplication:
    """Return what answers in the place of an application that cannot be loaded."""
    errors = causes(error)
    title = str(error)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_near(environ):
            fields, body = page.answer(environ, title, errors)
        else:
            fields, body = [("Content-Type", "text/plain; charset=utf-8")], ELSEWHERE
        start_response(FAILED, fields)
        return [body]

    return application


def causes(error: LoadError) -> list[report.Raised]:
    """Return why an application cannot be loaded; nothing where no line of it has to do with it."""
    if error.__cause__ is None:
        return []
    return [each for each in report.of(error.__cause__) if each.calls]


class Errors:
    """An application whose errors are shown.

    Args:
        application: the one that is served.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._logged = _Logged()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; those from elsewhere are the application's alone."""
        if not is_near(environ):
            return self._application(environ, start_response)
        return _Answer(self._logged, environ, start_response).begun(self._application)


class _Logged:
    """Notes, for each thread, the error that was logged last, and has it written as we have it."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        event_log.add_filter(self._note)
        usual = logging.getLogRecordFactory()

        def made(*args: Any, **named: Any) -> logging.LogRecord:
            record = usual(*args, **named)
            self._note(record)
            return record

        logging.setLogRecordFactory(made)

    def taken(self) -> BaseException | None:
        """Return the error that this thread has logged since it was asked last."""
        error, self._of_thread.error = getattr(self._of_thread, "error", None), None
        return error

    def _note(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:
            return
        # Or the one that is being handled: some write a traceback to wsgi.errors.
        error = record.exc_info[1] if record.exc_info else sys.exc_info()[1]
        if error is None:
            return
        self._of_thread.error = error
        if record.exc_info:
            errors = report.of(error)
            if any(each.calls for each in errors):
                record.exc_text = report.text(errors)


class _Answer:
    """The answer to one request: the application's, or a page in its place."""

    def __init__(
        self, logged: _Logged, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self._logged = logged
        self._environ = environ
        self._start_response = start_response
        self._status = ""
        self._fields: list[tuple[str, str]] = []
        self._iterable: Iterable[bytes] = ()
        self._iterator: Iterator[bytes] = iter(())
        self._is_begun = False

    def begun(self, application: WSGIApplication) -> Iterable[bytes]:
        """Call the application; return what is to be sent."""
        self._logged.taken()
        try:
            self._iterable = iterable = application(self._environ, self._start)
            if self._has_failed():
                return self._in_place_of(iterable)
            if type(iterable) in (list, tuple) or self._is_file(iterable):
                return iterable
            self._iterator = iter(iterable)
        except ClientDisconnected:
            raise
        except (Exception, SystemExit) as error:
            return self._page(error)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            block = next(self._iterator)
            if not self._is_begun and self._has_failed():
                self._iterator = iter(self._in_place_of(itertools.chain([block], self._iterator)))
                block = next(self._iterator)
        except (StopIteration, ClientDisconnected):
            raise
        except (Exception, SystemExit) as error:
            self._iterator = iter(self._page(error))
            block = next(self._iterator)
        self._is_begun = True
        return block

    def close(self) -> None:
        """Close what the application has returned, once."""
        self._logged.taken()
        iterable, self._iterable = self._iterable, ()
        if close := getattr(iterable, "close", None):
            close()

    def _start(self, status: str, fields: list[tuple[str, str]], *exc_info: Any) -> Any:
        self._status, self._fields = status, fields
        return self._start_response(status, fields, *exc_info)

    def _has_failed(self) -> bool:
        return self._status[:3] == FAILED[:3]

    def _is_file(self, iterable: object) -> bool:
        wrapper = self._environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(iterable, wrapper)

    def _in_place_of(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """Return an answer that has failed, or the page that says more.

        JSON is the answer of a program that has one for it; and a page that has a traceback is the
        framework's own.
        """
        error = self._logged.taken()
        kinds = [value for name, value in self._fields if name.lower() == "content-type"]
        try:
            body = b"".join(iterable)
        finally:
            self.close()
        is_json = bool(body) and any("json" in kind for kind in kinds)
        if error is None or is_json or b"Traceback" in body:
            return [body]
        return self._shown(error)

    def _page(self, error: BaseException) -> list[bytes]:
        """Return the page; raise the error where the head of the response has been sent."""
        body = self._shown(error)
        environ = self._environ
        event_log.event(
            logging.ERROR,
            "application_error",
            f"The application failed: {report.summary(error).splitlines()[-1]}",
            error,
            method=environ.get("REQUEST_METHOD", ""),
            path=environ.get("PATH_INFO", ""),
        )
        self._logged.taken()
        return body

    def _shown(self, error: BaseException) -> list[bytes]:
        fields, body = page.answer(self._environ, "", report.of(error))
        exc_info: Any = (type(error), error, error.__traceback__)
        try:
            self._start_response(FAILED, fields, exc_info)
        finally:
            exc_info = None  # its frames refer to this one: a cycle
        return [body]
