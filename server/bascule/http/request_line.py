"""The request line (RFC 9112 §3)."""

from __future__ import annotations

import binascii
from typing import Final

from bascule.errors import ProtocolError
from bascule.http import grammar
from bascule.http.request import Environ, Request, add_request_line

LINE_TOO_LONG: Final = "the request line is too long"

# Methods of the usual requests (RFC 9110 §9.3, RFC 5789). Others are as good, and take longer.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def read_request_line(line: str, environ: Environ) -> Request:
    """Return the request that a line begins; that of a usual one is taken apart at once.

    Args:
        line: without its end, decoded as latin-1; of the control characters it may have HTAB alone.
        environ: gets the line's variables.

    Raises:
        ProtocolError: as ``parse_request_line``.
    """
    parts = line.split(" ")
    if len(parts) == 3:
        method, target, version = parts
        if (
            version == "HTTP/1.1"
            and method in _METHODS
            and target[:1] == "/"
            and "#" not in target
            and "\t" not in target
        ):
            path, _, query = target.partition("?")
            if "%" in path:
                path = _percent_decoded(path.encode("latin-1")).decode("latin-1")
            environ["REQUEST_METHOD"] = method
            environ["SERVER_PROTOCOL"] = version
            environ["PATH_INFO"] = path
            environ["QUERY_STRING"] = query
            environ["RAW_URI"] = target
            return Request(method, target, path, query)
    request = parse_request_line(line.encode("latin-1"))
    add_request_line(environ, request)
    return request


def parse_request_line(line: bytes) -> Request:
    """Return the request that a line begins (RFC 9112 §3).

    Args:
        line: without its end; ``check_length`` has accepted it.

    Raises:
        ProtocolError: 400, 501 or 505.
    """
    match = grammar.REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, "the request line is malformed")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    path, query, authority = _split_target(method, target)
    request = Request(
        method=method.decode("ascii"),
        target=target.decode("latin-1"),
        path=_percent_decoded(path).decode("latin-1"),
        query=query.decode("latin-1"),
        minor=0 if minor == b"0" else 1,
    )
    if authority is not None:
        request.authority = authority.decode("latin-1")
    return request


def _percent_decoded(path: bytes) -> bytes:
    """Return a path's bytes; what is no percent-encoding, such as ``%`` or ``%x``, stays.

    Quoted-printable (RFC 2045 §6.7) is the same encoding with another sign, and the one of the two
    that the interpreter decodes by itself.
    """
    encoded = grammar.NOT_PCT_ENCODED.sub(b"%25", path)
    return binascii.a2b_qp(encoded.replace(b"=", b"=3D").replace(b"%", b"="))


def _split_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return path, query and, of an absolute target, the authority (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        raise ProtocolError(501, "this server is no tunnel: CONNECT is not implemented")
    if b"#" in target:
        raise ProtocolError(400, "the request target has a fragment")
    authority = None
    if target == b"*" and method == b"OPTIONS":
        return b"", b"", None
    if not target.startswith(b"/"):
        match = grammar.ABSOLUTE_FORM.fullmatch(target)
        if match is None:
            raise ProtocolError(400, "the request target is of no known form")
        authority, target = match.groups()
        if grammar.HOST.fullmatch(authority) is None:
            raise ProtocolError(400, "the authority of the request target is malformed")
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query, authority
