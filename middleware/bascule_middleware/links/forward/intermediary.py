"""What a gateway passes on of a message, and what it writes itself (RFC 9110 §7.6, RFC 9112 §6).

Pure functions between environ and field lists. The policy is to refuse, never to repair: framing,
Host, Via and the forwarded fields are written here and only here, so that no client can have the
upstream see another message than this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from bascule_middleware.exchange.forwarded import MalformedFieldError, parse_host, parse_list
from bascule_middleware.exchange.request_path import full_path
from bascule_middleware.links.proxy_headers import FORWARDED_FIELDS

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

# Fields about one connection (RFC 9110 §7.6.1), and what PEP 3333 calls hop-by-hop.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)

# Of a request, besides: what is written here, and what ends here.
_NOT_PASSED_ON = HOP_BY_HOP | {
    "content-length",
    "expect",  # the server has answered it: the body is here, or comes when it is read
    "host",
    "max-forwards",
    "proxy",  # a CGI upstream would have it as HTTP_PROXY, the address of its own proxy
    "via",
    *(name.removeprefix("HTTP_").replace("_", "-").lower() for name in FORWARDED_FIELDS),
}

# token = 1*tchar (RFC 9110 §5.6.2)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
# What no field value has (RFC 9110 §5.5); characters past U+00FF are no bytes (PEP 3333).
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]").search
_LENGTH = re.compile(r"[0-9]{1,18}").fullmatch  # 1*DIGIT (RFC 9110 §8.6), and no overflow

# pchar = unreserved / pct-encoded / sub-delims / ":" / "@" (RFC 3986 §3.3); quote() keeps the
# unreserved ones anyway.
_PCHAR = "!$&'()*+,;=:@"
_RAW_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*").fullmatch
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class RefusedError(Exception):
    """A request that is not passed on; `status` is the answer."""

    def __init__(self, status: str, reason: str) -> None:
        """Say in `reason` what a log line should tell."""
        super().__init__(reason)
        self.status = status


class EndsHereError(Exception):
    """An OPTIONS request that is for the gateway itself."""


@dataclass(frozen=True)
class Outgoing:
    """A request as the upstream gets it, without the body's bytes.

    Attributes:
        length: of the body in bytes; None where it is known only once it has been read.
        fields: names and values, Host first, framing included.
    """

    method: str
    target: str
    fields: dict[str, str]
    length: int | None

    @property
    def has_body(self) -> bool:
        """Whether there is a body, or may be."""
        return self.length != 0


def outgoing(environ: WSGIEnvironment, *, host: str, via: str, family: str) -> Outgoing:
    """Return the request that the environ stands for.

    Args:
        environ: of PEP 3333, with the client's address as REMOTE_ADDR.
        host: the value of Host; empty for the client's own.
        via: the name under which we appear in Via.
        family: of forwarded fields: "x-forwarded" or "forwarded".

    Raises:
        RefusedError: the request is malformed, not for a gateway, or in a loop.
        EndsHereError: the gateway answers it.
    """
    method = environ["REQUEST_METHOD"]
    if not _TOKEN(method):
        raise RefusedError("400 Bad Request", "the method is malformed")
    if method in ("CONNECT", "TRACE"):  # no tunnel; and TRACE shows what gateways add
        raise RefusedError("501 Not Implemented", f"{method} is not forwarded")
    target = request_target(environ)
    length = _length(environ)
    fields = {"Host": host or _host(environ)}
    if length is None:
        fields["Transfer-Encoding"] = "chunked"
    elif length or environ.get("CONTENT_LENGTH"):
        fields["Content-Length"] = str(length)
    fields.update(_passed_on(environ))
    fields.update(_forwarded(environ, family))
    if "bascule.request_id" in environ:  # set by us: no client's Connection field removes it
        fields["X-Request-Id"] = environ["bascule.request_id"]
    fields["Via"] = _via(environ, via)
    if method == "OPTIONS":
        fields.update(_max_forwards(environ))
    return Outgoing(method, target, fields, length)


def request_target(environ: WSGIEnvironment) -> str:
    """Return the target in origin form (RFC 9112 §3.2.1), of visible ASCII only.

    The path comes from the environ, which other links may have changed; as the client wrote it
    where that still says the same, so that a "%2F" stays one. Raises RefusedError.
    """
    path = full_path(environ) or "/"
    try:
        octets = path.encode("latin-1")
        query = environ.get("QUERY_STRING", "").encode("latin-1")
    except UnicodeEncodeError:
        raise RefusedError("400 Bad Request", "the target is no text of bytes") from None
    if not path.startswith("/"):
        raise RefusedError("400 Bad Request", "the path does not begin with a slash")
    # An upstream that removed dot segments (RFC 3986 §5.2.4) would find itself elsewhere than
    # where the links here have looked.
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise RefusedError("400 Bad Request", "the path has dot segments")
    raw = environ.get("RAW_URI", "").partition("?")[0]
    if not (_RAW_PATH(raw) and unquote_to_bytes(raw) == octets):
        raw = quote(octets, safe=_PCHAR + "/")
    # As urllib3 would encode it once more if a "%" stood alone: then all of them.
    text = _STRAY_PERCENT.sub("%25", quote(query, safe=_PCHAR + "/?%"))
    return f"{raw}?{text}" if text else str(raw)


def response_fields(
    fields: Iterable[tuple[str, str]], *, version: str, via: str
) -> list[tuple[str, str]]:
    """Return an upstream's response fields as the client gets them, with our Via.

    `version` is the upstream's: "1.1". The fields have been checked when they were read.
    """
    fields = list(fields)
    dropped = HOP_BY_HOP | _named(value for name, value in fields if name.lower() == "connection")
    # Under a CGI gateway "Status" would be the status (RFC 3875 §6.3.3); PEP 3333 forbids it.
    dropped = dropped | {"status", "via"}
    passed = []
    hops = []
    for name, value in fields:
        lower = name.lower()
        if lower == "via":
            hops.append(value)
        elif lower not in dropped:
            if lower in ("date", "server"):  # there is one of each; servers refuse a second
                dropped = dropped | {lower}
            passed.append((name, value))
    passed.append(("Via", ", ".join([*hops, f"{version} {via}"])))
    return passed


def _named(values: Iterable[str]) -> frozenset[str]:
    """Return the names that Connection fields list, in lower case."""
    return frozenset(name.lower() for value in values for name in parse_list(value))


def _passed_on(environ: WSGIEnvironment) -> dict[str, str]:
    dropped = _NOT_PASSED_ON | _named([environ.get("HTTP_CONNECTION", "")])
    fields = {}
    for variable, value in environ.items():
        if variable == "CONTENT_TYPE":
            name = "Content-Type"
            if not value:
                continue
        elif variable.startswith("HTTP_"):
            name = variable[len("HTTP_") :].replace("_", "-").title()
        else:
            continue
        if name.lower() in dropped:
            continue
        if not _TOKEN(name) or not isinstance(value, str) or _NOT_IN_VALUE(value):
            raise RefusedError("400 Bad Request", f"the field {name!r} is malformed")
        fields[name] = value
    return fields


def _host(environ: WSGIEnvironment) -> str:
    host: str = environ.get("HTTP_HOST", "")
    if not host:  # HTTP/1.0
        name = str(environ["SERVER_NAME"])
        if ":" in name and not name.startswith("["):
            name = f"[{name}]"
        host = f"{name}:{environ['SERVER_PORT']}"
    try:
        parse_host(host)
    except MalformedFieldError as error:
        raise RefusedError("400 Bad Request", f"the Host field: {error}") from None
    return host


def _length(environ: WSGIEnvironment) -> int | None:
    """Return the body's length; None for one that must be read to know. Raises RefusedError."""
    length = environ.get("CONTENT_LENGTH") or ""
    coding = environ.get("HTTP_TRANSFER_ENCODING") or ""
    if length and not _LENGTH(length):
        raise RefusedError("400 Bad Request", "the Content-Length field is malformed")
    if not coding:
        return int(length or 0)
    # Servers other than ours leave the field there, and the body decoded or not.
    if length or coding.strip(" \t").lower() != "chunked":
        raise RefusedError("400 Bad Request", "the body's length is ambiguous")
    if not environ.get("wsgi.input_terminated"):
        raise RefusedError("411 Length Required", "this server does not decode chunked bodies")
    return None


def _forwarded(environ: WSGIEnvironment, family: str) -> dict[str, str]:
    """Return the forwarded fields: one hop, the client that the environ names.

    What came before is in the environ already: `proxy_headers` put the client there and removed
    the fields. Without it they are the client's own word, and not passed on.
    """
    client, host = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_HOST", "")
    scheme = environ["wsgi.url_scheme"]
    if family == "forwarded":
        # node = IPv4address / "[" IPv6address "]" / "unknown", the brackets quoted (RFC 7239 §6)
        node = f'"[{client}]"' if ":" in client else client or "unknown"
        element = f"for={node};proto={scheme}"
        return {"Forwarded": f'{element};host="{host}"' if host else element}
    fields = {
        "X-Forwarded-For": client,
        "X-Forwarded-Proto": scheme,
        "X-Forwarded-Host": host,
        "X-Forwarded-Port": environ["SERVER_PORT"],
    }
    return {name: value for name, value in fields.items() if value}


def _via(environ: WSGIEnvironment, name: str) -> str:
    """Return Via with this hop (RFC 9110 §7.6.3). Raises RefusedError where we are in it."""
    via = environ.get("HTTP_VIA", "")
    if _NOT_IN_VALUE(via):
        raise RefusedError("400 Bad Request", "the Via field is malformed")
    if any(name in hop.split() for hop in parse_list(via)):
        raise RefusedError("508 Loop Detected", "the request has been here before")
    version = environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/")
    hop = f"{version} {name}"
    return f"{via}, {hop}" if via else hop


def _max_forwards(environ: WSGIEnvironment) -> dict[str, str]:
    """Return Max-Forwards, one less (RFC 9110 §7.6.2). Raises RefusedError and EndsHereError.

    An OPTIONS request ends here at 0, or where it asks about the server itself ("*").
    """
    value = environ.get("HTTP_MAX_FORWARDS", "")
    if value and not _LENGTH(value):
        raise RefusedError("400 Bad Request", "the Max-Forwards field is malformed")
    if not full_path(environ) or (value and not int(value)):
        raise EndsHereError
    return {"Max-Forwards": str(int(value) - 1)} if value else {}
