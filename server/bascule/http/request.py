"""A request's head, and what it means to the server (RFC 9112 §3.2, §6, §9.3).

Policy: refuse, never repair. Whatever two parsers could read differently is answered with an
error, and the connection closes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bascule.errors import ProtocolError


class Request:
    """What the server itself has to know of one request's head.

    Args:
        method: the method, case kept.
        target: the request target as sent, decoded as latin-1.
        path: the target's path, percent-decoded, its bytes as latin-1 characters (PEP 3333).
        query: what follows the target's first ``?``, as sent.
        minor: 0 for HTTP/1.0, 1 for HTTP/1.1.

    Attributes:
        authority: that of an absolute target, else None.
        content_length: the body's length in bytes; None where there is no such field.
        chunked: the body has the chunked transfer coding.
        keep_alive: the client lets the connection persist (RFC 9112 §9.3).
        expects_continue: the client waits for ``100 Continue`` (RFC 9110 §10.1.1).
    """

    # No __slots__, and what most requests have is the class's: one is made for each request, and
    # is made faster like this.
    authority: str | None = None
    content_length: int | None = None
    chunked = False
    keep_alive = True
    expects_continue = False

    def __init__(self, method: str, target: str, path: str, query: str, minor: int = 1) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minor = minor

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = None  # type: ignore[assignment]


_COMPARED: Final = (
    *("method", "target", "path", "query", "minor", "authority"),
    *("content_length", "chunked", "keep_alive", "expects_continue"),
)

# A request's environ: what the connection's requests have in common, the request line's variables,
# and the fields under their CGI names: ``CONTENT_TYPE``, ``CONTENT_LENGTH`` and ``HTTP_…``
# (RFC 3875 §4.1); several fields of one name are joined (RFC 9110 §5.3).
Environ = dict[str, Any]


def add_request_line(environ: Environ, request: Request) -> None:
    """Put the variables of a request's line into its environ (RFC 3875 §4.1)."""
    environ["REQUEST_METHOD"] = request.method
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if request.minor else "HTTP/1.0"
    environ["PATH_INFO"] = request.path
    environ["QUERY_STRING"] = request.query
    environ["RAW_URI"] = request.target


# Fields of which there may be only one.
_SINGLETONS: Final = {
    "HTTP_HOST": "Host",
    "CONTENT_LENGTH": "Content-Length",
    "CONTENT_TYPE": "Content-Type",
}


def join_fields(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the variables, several fields of one name joined (RFC 9110 §5.3).

    Args:
        fields: variables and values, in the order in which they came.

    Raises:
        ProtocolError: 400, where there are several of a field that there may be one of.
    """
    variables: dict[str, str] = {}
    for variable, value in fields:
        if variable in variables:
            if variable in _SINGLETONS:
                raise ProtocolError(400, f"more than one {_SINGLETONS[variable]} field")
            # "Cookie" is the one field whose members a semicolon separates (RFC 6265 §4.2.1).
            separator = "; " if variable == "HTTP_COOKIE" else ","
            variables[variable] += separator + value
        else:
            variables[variable] = value
    return variables


def settle(request: Request, environ: Environ) -> None:
    """Note what a head says of its request beyond the request line.

    Args:
        request: gets the notes.
        environ: has the fields, each valid by itself; gets the authority of an absolute target.

    Raises:
        ProtocolError: the head is refused.
    """
    if request.authority is not None:
        _use_authority(request, request.authority, environ)
    if request.minor == 0 or "HTTP_CONNECTION" in environ:
        _read_connection(request, environ)
    if "HTTP_HOST" not in environ and request.minor:
        raise ProtocolError(400, "no Host field")
    if "HTTP_TRANSFER_ENCODING" in environ:
        _read_transfer_encoding(request, environ)
    elif "CONTENT_LENGTH" in environ:
        request.content_length = int(environ["CONTENT_LENGTH"])
    elif request.minor == 0 and request.method in ("POST", "PUT"):
        # HTTP/1.0 clients may have meant "until I close" (RFC 1945 §8.3).
        raise ProtocolError(411, "an HTTP/1.0 request of this method needs a Content-Length")
    if "HTTP_EXPECT" in environ and request.minor:
        _read_expectation(request, environ)


def _members(value: str) -> list[str]:
    """Return the members of a list field, in lower case (RFC 9110 §5.6.1)."""
    return [member for part in value.lower().split(",") if (member := part.strip(" \t"))]


def _use_authority(request: Request, authority: str, environ: Environ) -> None:
    """Hold RFC 9112 §3.2: one opinion about the host."""
    if environ.get("HTTP_HOST", authority).lower() != authority.lower():
        raise ProtocolError(400, "the Host field disagrees with the request target")
    if request.minor and "HTTP_HOST" not in environ:
        raise ProtocolError(400, "no Host field")
    environ["HTTP_HOST"] = authority


def _read_transfer_encoding(request: Request, environ: Environ) -> None:
    """Settle the body's length (RFC 9112 §6); any disagreement is refused."""
    value = environ["HTTP_TRANSFER_ENCODING"]
    codings = _members(value)
    if request.minor == 0:
        raise ProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
    if "CONTENT_LENGTH" in environ:
        raise ProtocolError(400, "both Content-Length and Transfer-Encoding")
    if len(codings) <= value.count(","):
        # Lists may have empty members (RFC 9110 §5.6.1.2), but parsers disagree about this one.
        raise ProtocolError(400, "an empty member in Transfer-Encoding")
    if codings.count("chunked") > 1:
        raise ProtocolError(400, "the chunked coding is applied twice")
    if codings[-1:] != ["chunked"]:
        # "the server MUST respond with the 400 (Bad Request) status code" (RFC 9112 §6.3)
        raise ProtocolError(400, "chunked is not the final transfer coding")
    if codings != ["chunked"]:
        raise ProtocolError(501, "chunked is the only transfer coding implemented")
    request.chunked = True


def _read_connection(request: Request, environ: Environ) -> None:
    """Settle whether the connection may persist (RFC 9112 §9.3)."""
    value = environ.get("HTTP_CONNECTION", "")
    if value == "keep-alive":
        return  # what most say who say anything; a request persists unless it is told otherwise
    options = _members(value)
    persistent = request.minor == 1 or "keep-alive" in options
    request.keep_alive = persistent and "close" not in options


def _read_expectation(request: Request, environ: Environ) -> None:
    expectations = _members(environ["HTTP_EXPECT"])
    if expectations and expectations != ["100-continue"]:
        raise ProtocolError(417, "the only expectation that is met is 100-continue")
    has_body = request.chunked or bool(request.content_length)
    request.expects_continue = bool(expectations) and has_body
