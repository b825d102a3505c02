"""From CGI's meta-variables and standard input to the environ dictionary of PEP 3333."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from bascule.errors import ApplicationError, ClientDisconnected, ProtocolError
from bascule.wsgi.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from _typeshed import SupportsRead, WriteableBuffer

# "The server MUST set this meta-variable" (RFC 3875 §4.1), and PEP 3333 demands them as well.
_REQUIRED: Final = "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"
_MAY_BE_ABSENT: Final = "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"
# Fields that must not come as variables: `Proxy` would be the HTTP_PROXY that clients inside the
# application obey (CVE-2016-5385); two have variables of their own (RFC 3875 §4.1.18); and the
# host has taken the transfer coding off the body.
NO_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTP_CONTENT_TYPE",
    "HTTP_CONTENT_LENGTH",
    "HTTP_TRANSFER_ENCODING",
)


def build(
    variables: Mapping[bytes, bytes], stdin: SupportsRead[bytes], errors: TextIO
) -> dict[str, Any]:
    """Return the environ for the meta-variables of RFC 3875 §4.1.

    Args:
        variables: the process's environment.
        stdin: gives the request's body; no byte past it is read (RFC 3875 §4.2).
        errors: becomes ``wsgi.errors``.

    Raises:
        ProtocolError: there is a body, and no telling where it ends.
        ApplicationError: the host left out what it must set.
    """
    # PEP 3333, "Unicode Issues": each byte is one character, whatever the locale.
    environ: dict[str, Any] = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in variables.items()
    }
    missing = [name for name in _REQUIRED if name not in environ]
    if missing:
        raise ApplicationError(f"the CGI host does not set {', '.join(missing)} (RFC 3875 §4.1)")
    length = _length(environ)
    for name in NO_VARIABLES:
        environ.pop(name, None)
    for name in _MAY_BE_ABSENT:
        environ.setdefault(name, "")
    secure = environ.get("HTTPS", "").lower() in ("on", "yes", "1")
    return environ | {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if secure else "http",
        "wsgi.input": io.BufferedReader(Body(stdin, length)),
        "wsgi.input_terminated": True,
        "wsgi.errors": errors,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
        "wsgi.file_wrapper": FileWrapper,
    }


def _length(environ: Mapping[str, str]) -> int:
    """Return the length of the body in bytes; without CONTENT_LENGTH there is none (§4.1.2)."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length:
        # Apache hands a chunked body on without a length, to be read until the stream ends.
        if "HTTP_TRANSFER_ENCODING" in environ:
            raise ProtocolError(411, "a request with a body needs a Content-Length here")
        return 0
    if not (length.isascii() and length.isdigit()):
        raise ProtocolError(400, "Content-Length must be a number of bytes")
    return int(length)


class Body(io.RawIOBase):
    """The first ``length`` bytes of a stream.

    Where the stream ends before, reading raises ClientDisconnected: half an upload must not be
    taken for a whole one.
    """

    def __init__(self, stream: SupportsRead[bytes], length: int) -> None:
        super().__init__()
        self._stream = stream
        self._remaining = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._remaining)
        data = self._stream.read(wanted) if wanted else b""
        if wanted and not data:
            raise ClientDisconnected("the request's body ended early")
        view[: len(data)] = data
        self._remaining -= len(data)
        return len(data)
