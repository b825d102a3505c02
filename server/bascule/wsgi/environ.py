"""The environ dictionary of PEP 3333: what is in it beside a request's head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bascule.http.body import NO_BODY
from bascule.http.request import Environ
from bascule.told.event_log import ErrorStream
from bascule.version import __version__
from bascule.wsgi.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from wsgiref.types import InputStream

SOFTWARE: Final = f"bascule/{__version__}"


def template(server: tuple[str, str], *, multithread: bool) -> dict[str, Any]:
    """Return the variables that all requests over one listening socket share.

    ``REMOTE_ADDR`` is empty, as it stays for a unix socket, whose peers have no address.

    Args:
        server: host and port where it listens.
        multithread: the application may be called by several threads at once.
    """
    return {
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_SOFTWARE": SOFTWARE,
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": "",
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


_ERRORS: Final = ErrorStream()


def add_body(environ: Environ, body: InputStream, length: int) -> None:
    """Put a request's body into its environ.

    Args:
        environ: the request's.
        body: becomes ``wsgi.input``; ends where the body ends.
        length: of the body, in bytes.
    """
    environ["wsgi.input"] = body
    if environ.pop("HTTP_TRANSFER_ENCODING", None):
        # The body has been read to its end and the coding is gone: applications that read
        # CONTENT_LENGTH bytes work without knowing of chunks, and none decodes it twice.
        environ["CONTENT_LENGTH"] = str(length)
