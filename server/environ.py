"""The environ dictionary of PEP 3333: from a request's head to what the application reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from server import __version__
from server.body import NO_BODY
from server.event_log import ErrorStream
from server.file_wrapper import FileWrapper
from server.request import Request

if TYPE_CHECKING:
    from wsgiref.types import InputStream

SOFTWARE: Final = f"bascule/{__version__}"


def template(
    server: tuple[str, str], peer: tuple[str, str] | None, *, multithread: bool
) -> dict[str, Any]:
    """Return the variables that all requests of one connection share.

    Args:
        server: host and port where the connection was accepted.
        peer: the client's address and port; None for a unix socket, which has neither:
            ``REMOTE_ADDR`` is then empty.
        multithread: the application may be called by several threads at once.
    """
    environ: dict[str, Any] = {
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_SOFTWARE": SOFTWARE,
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": peer[0] if peer else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": NO_BODY,
        "wsgi.errors": _ERRORS,
        "wsgi.multithread": multithread,
        # Whether there are more workers is for the supervisor to know: PEP 3333 asks whether an
        # equivalent application *may* be invoked by another process.
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }
    if peer:
        environ["REMOTE_PORT"] = peer[1]
    return environ


_ERRORS: Final = ErrorStream()


def build(shared: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return the environ of a request that has no body.

    Args:
        shared: the connection's ``template``.
        request: the request's head.
    """
    return {**shared, **request.line.variables, **request.variables}


def build_with_body(
    shared: dict[str, Any], request: Request, body: InputStream, length: int
) -> dict[str, Any]:
    """Return the environ of a request that has a body.

    Args:
        shared: the connection's ``template``.
        request: the request's head.
        body: becomes ``wsgi.input``; ends where the body ends.
        length: of the body, in bytes.
    """
    environ = build(shared, request)
    environ["wsgi.input"] = body
    if request.chunked:
        # The body has been read to its end and the coding is gone: applications that read
        # CONTENT_LENGTH bytes work without knowing of chunks, and none decodes it twice.
        environ["CONTENT_LENGTH"] = str(length)
        del environ["HTTP_TRANSFER_ENCODING"]
    return environ
