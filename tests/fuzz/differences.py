"""The one list of what the server reads otherwise than llhttp or h11, each with its reason.

A disagreement that none of these explains is a finding. Each has an example that must still show
it. `docs/hardening.md` lists the same table for readers: ``python -m tests.fuzz.differences``
prints it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.fuzz.compare import Disagreement
from tests.fuzz.reading import Message

Applies = Callable[[Disagreement, bytes], object]

HOST: Final = b" HTTP/1.1\r\nHost: a\r\n"
CHUNKED: Final = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Difference:
    """One way in which another parser differs, for a reason.

    Attributes:
        peer: "llhttp" or "h11".
        aspect: as ``Disagreement.aspect``.
        what: what the other does, for readers.
        reason: why the server does not.
        section: what decides.
        example: a stream that shows it.
        applies: tells it from others of the same peer and aspect.
        error: how the other's words begin, where it refuses.
    """

    peer: str
    aspect: str
    what: str
    reason: str
    section: str
    example: bytes
    applies: Applies
    error: str = ""

    def explains(self, found: Disagreement, data: bytes) -> bool:
        return (
            (self.peer, self.aspect) == (found.peer, found.aspect)
            and found.error.startswith(self.error)
            and bool(self.applies(found, data))
        )


# The methods that llhttp knows for HTTP; PRI is HTTP/2's alone.
_LLHTTP_METHODS: Final = (
    "DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH "
    "UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE "
    "UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK QUERY"
)

# White space around the ";" or the "=" of a chunk extension.
_BWS_IN_CHUNK_LINE: Final = re.compile(rb"\r\n[0-9A-Fa-f]{1,15}[^\r\n]*([ \t][;=]|[;=][ \t])")
_BWS_AFTER_SIZE: Final = re.compile(rb"\r\n[0-9A-Fa-f]{1,15}[ \t]+;")


def _ours(found: Disagreement) -> Message:
    assert found.ours is not None
    return found.ours


def _options(found: Disagreement) -> list[str]:
    return re.split(r"[ \t]*,[ \t]*", _ours(found).variables.get("HTTP_CONNECTION", "").lower())


def _unknown_to_llhttp(found: Disagreement, _: bytes) -> bool:
    return _ours(found).method not in _LLHTTP_METHODS.split()


def _has_obs_text(found: Disagreement, _: bytes) -> bool:
    return not _ours(found).target.isascii()


def _only_case_of_coding(found: Disagreement, _: bytes) -> bool:
    assert found.theirs is not None
    variables = dict(_ours(found).variables)
    variables["HTTP_TRANSFER_ENCODING"] = variables.get("HTTP_TRANSFER_ENCODING", "").lower()
    return variables == found.theirs.variables


def _in_trailer(name: bytes) -> Applies:
    """The field comes after the last chunk, where the head has none that would be refused."""
    pattern = re.compile(rb"\r\n0+(?:[ \t;][^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*?" + name + rb":", re.I)
    return lambda found, data: (
        _ours(found).variables.get("HTTP_TRANSFER_ENCODING") and pattern.search(data)
    )


DIFFERENCES: Final = (
    Difference(
        "llhttp",
        "refuses",
        "refuses methods that it does not know",
        "the application knows its methods; any token is one",
        "RFC 9110 §9.1",
        b"BREW /" + HOST + b"\r\n",
        _unknown_to_llhttp,
        "Invalid method encountered",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses methods that begin like one that it knows",
        "the application knows its methods; any token is one",
        "RFC 9110 §9.1",
        b"GETS /" + HOST + b"\r\n",
        _unknown_to_llhttp,
        "Expected space after method",
    ),
    Difference(
        "llhttp",
        "refuses",
        "takes the method PRI for HTTP/2's preface",
        "the version alone says HTTP/2; PRI with 1.1 is an unknown method, PRI with 2.0 is refused",
        "RFC 9113 §3.4",
        b"PRI /" + HOST + b"\r\n",
        lambda found, _: _ours(found).method == "PRI",
        "Expected HTTP/2 Connection Preface",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses versions from 1.2 on",
        "a higher minor version is read as the highest that the server has",
        "RFC 9110 §2.5",
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        lambda _, data: re.search(rb" HTTP/1\.[2-9]\r\n", data),
        "Invalid HTTP version",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses bytes from 0x80 in a path",
        "clients send raw UTF-8; PEP 3333 hands the bytes on, and no framing depends on them",
        "this server",
        b"GET /\xc3\xa9" + HOST + b"\r\n",
        _has_obs_text,
        "Invalid char in url path",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses bytes from 0x80 in a query",
        "as in a path",
        "this server",
        b"GET /?\xc3\xa9" + HOST + b"\r\n",
        _has_obs_text,
        "Invalid char in url query",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses white space around the ; and = of a chunk extension",
        "bad white space, which a recipient must parse and remove",
        "RFC 9112 §7.1.1",
        CHUNKED + b"5 ; a = b\r\nhello\r\n0\r\n\r\n",
        lambda _, data: _BWS_IN_CHUNK_LINE.search(data),
        "Invalid character in chunk",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses Content-Length in a trailer",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
        _in_trailer(b"Content-Length"),
        "Content-Length can't be present",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses Transfer-Encoding in a trailer",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
        _in_trailer(b"Transfer-Encoding"),
        "Invalid `Transfer-Encoding`",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses an empty Transfer-Encoding in a trailer",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nTransfer-Encoding:\r\n\r\n",
        _in_trailer(b"Transfer-Encoding"),
        "Empty Transfer-Encoding",
    ),
    Difference(
        "llhttp",
        "refuses",
        "refuses a tab after the word chunked",
        "white space around a value is no part of it",
        "RFC 9112 §5.1",
        CHUNKED.replace(b"chunked", b"chunked\t") + b"0\r\n\r\n",
        lambda _, data: re.search(rb"(?i)\r\nTransfer-Encoding:[^\r\n]*\t[ \t]*\r\n", data),
        "Request has invalid `Transfer-Encoding`",
    ),
    Difference(
        "llhttp",
        "keep_alive",
        "obeys Connection in a trailer",
        "trailers are discarded",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nConnection: close\r\n\r\n",
        _in_trailer(b"Connection"),
    ),
    Difference(
        "llhttp",
        "keep_alive",
        "keeps an HTTP/1.0 connection for which both close and keep-alive are asked",
        "close goes before keep-alive",
        "RFC 9112 §9.3",
        b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        lambda found, _: (
            _ours(found).minor == 0 and {"close", "keep-alive"} <= set(_options(found))
        ),
    ),
    Difference(
        "llhttp",
        "keep_alive",
        "obeys Proxy-Connection as it does Connection",
        "the field is no part of HTTP, and servers ignore it",
        "RFC 9112 §C.2.2",
        b"GET /" + HOST + b"Proxy-Connection: close\r\n\r\n",
        lambda found, _: "HTTP_PROXY_CONNECTION" in _ours(found).variables,
    ),
    Difference(
        "llhttp",
        "switches",
        "reads no body where an upgrade is asked for, and leaves the connection",
        "a server may ignore Upgrade; this one does, and the request is one like any other",
        "RFC 9110 §7.8",
        b"GET /" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
        lambda found, _: "HTTP_UPGRADE" in _ours(found).variables and "upgrade" in _options(found),
    ),
    Difference(
        "h11",
        "refuses",
        "refuses bytes from 0x80 in the target",
        "clients send raw UTF-8; PEP 3333 hands the bytes on, and no framing depends on them",
        "this server",
        b"GET /\xc3\xa9" + HOST + b"\r\n",
        _has_obs_text,
        "illegal request line",
    ),
    Difference(
        "h11",
        "refuses",
        "refuses an empty line before the request line",
        "a server should ignore one",
        "RFC 9112 §2.2",
        b"\r\nGET /" + HOST + b"\r\n",
        lambda _, data: re.search(rb"\r\n[^ \r\n]+ [^ \r\n]+ HTTP/1\.", data),
        "no request line received",
    ),
    Difference(
        "h11",
        "refuses",
        "refuses white space between a chunk's size and its extension",
        "bad white space, which a recipient must parse and remove",
        "RFC 9112 §7.1.1",
        CHUNKED + b"5 ;a\r\nhello\r\n0\r\n\r\n",
        lambda _, data: _BWS_AFTER_SIZE.search(data),
        "illegal chunk header",
    ),
    Difference(
        "h11",
        "refuses",
        "refuses Transfer-Encoding in a trailer",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
        _in_trailer(b"Transfer-Encoding"),
        "Only Transfer-Encoding: chunked is supported",
    ),
    Difference(
        "h11",
        "refuses",
        "refuses two of Content-Length in a trailer that differ",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        _in_trailer(b"Content-Length"),
        "conflicting Content-Length headers",
    ),
    Difference(
        "h11",
        "refuses",
        "refuses two of Transfer-Encoding in a trailer",
        "trailers are discarded and frame nothing",
        "RFC 9110 §6.5.1",
        CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        _in_trailer(b"Transfer-Encoding"),
        "multiple Transfer-Encoding headers",
    ),
    Difference(
        "h11",
        "variables",
        "lowers the case of the coding",
        "an application sees fields as they were sent",
        "RFC 3875 §4.1.18",
        CHUNKED.replace(b"chunked", b"Chunked") + b"0\r\n\r\n",
        _only_case_of_coding,
    ),
    Difference(
        "h11",
        "keep_alive",
        "closes after every HTTP/1.0 request",
        "HTTP/1.0 clients may ask for keep-alive",
        "RFC 9112 §9.3",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        lambda found, _: _ours(found).minor == 0 and "keep-alive" in _options(found),
    ),
)


def explanation(found: Disagreement, data: bytes) -> Difference | None:
    """Return the difference that explains a disagreement on a stream, if there is one."""
    return next((each for each in DIFFERENCES if each.explains(found, data)), None)


def table() -> str:
    """Return the list as docs/hardening.md has it."""
    lines = ["| Parser | What it does | Why this server does not | Decided by |"]
    lines.append("| --- | --- | --- | --- |")
    lines += [
        f"| {each.peer} | {each.what} | {each.reason} | {each.section} |" for each in DIFFERENCES
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
