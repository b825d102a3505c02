"""Puts the client's address, scheme, host and port where PEP 3333 has them. The only reader of
forwarded fields.

The threat: anybody can send `X-Forwarded-For: 127.0.0.1`. So the fields count only when the peer,
the other end of the connection, is a trusted proxy; and of the addresses only those that trusted
proxies added, which stand at the right. Whatever is left of the first address that is not a
trusted proxy is the client's own word.

One family of fields is read, never both: a proxy that writes the one passes the other through, as
the client sent it.

After this link the environ holds no forwarded field, so that no later code can believe one by
mistake. What was there is kept under `bascule.proxy_headers.original`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from bascule_middleware.exchange.forwarded import (
    DEFAULT_PORTS,
    MalformedFieldError,
    Node,
    parse_forwarded,
    parse_hop,
    parse_host,
    parse_list,
    parse_node,
    parse_port,
)
from bascule_middleware.exchange.trust import trust
from bascule_middleware.settings import SettingError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ORIGINAL = "bascule.proxy_headers.original"

# The variables that each family of fields arrives in, in the order of its reader's arguments.
FAMILIES = {
    "x-forwarded": (
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
    ),
    "forwarded": ("HTTP_FORWARDED",),
}

# All that is removed: also fields that are never read here, lest somebody believes them.
FORWARDED_FIELDS = (
    *FAMILIES["x-forwarded"],
    *FAMILIES["forwarded"],
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_REAL_IP",
)

MEMO_ENTRIES = 4096  # clients in turn on one worker; about 1 kB each
MEMO_LENGTH = 512  # characters of all fields; longer ones are parsed each time

_log = logging.getLogger("bascule.proxy_headers")

# Variables of the environ and their new values. Shared by requests: never written to.
Changes = Mapping[str, str]


class ProxyHeaders:
    """Rewrite the environ in place (the server's access log reads it) from forwarded fields."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        trusted: Sequence[str] = ("unix",),
        fields: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        """`trusted`: the proxies' networks, or "unix"; `fields`: the family that they write."""
        self._application = application
        try:
            self._trusts = trust(trusted)
        except ValueError as error:
            raise SettingError("trusted", str(error)) from None
        self._family = FAMILIES[fields]
        read = self._read_forwarded if fields == "forwarded" else self._read_x_forwarded
        self._read: Callable[..., Changes] = read
        self._memo = lru_cache(MEMO_ENTRIES)(self._read)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Rewrite, then run the application; 400 where a trusted proxy sent a malformed field."""
        original = {}
        for name in FORWARDED_FIELDS:
            if name in environ:
                original[name] = environ.pop(name)
        if original:
            environ[ORIGINAL] = original
            if self._trusts(environ.get("REMOTE_ADDR", "unknown")):
                values = [original.get(name, "") for name in self._family]
                read = self._memo if len("".join(values)) <= MEMO_LENGTH else self._read
                try:
                    changes = read(environ["wsgi.url_scheme"], *values)
                except MalformedFieldError as error:
                    return _refuse(error, environ, start_response)
                for name in changes:
                    if name in environ:
                        original[name] = environ[name]
                environ.update(changes)
        return self._application(environ, start_response)

    # The readers are pure functions of their arguments, and so fit for a memo.

    def _read_x_forwarded(
        self, scheme: str, hops: str, proto: str, host: str, port: str
    ) -> Changes:
        client = None
        for text in reversed(parse_list(hops)):
            hop = parse_hop(text)
            if hop.address is None:
                break  # a trusted proxy keeps it secret: the hop that we know stands for it
            client = hop
            if not self._trusts(hop.address):
                break
        return _changes(client, scheme, _last(proto), _last(host), _last(port))

    def _read_forwarded(self, scheme: str, forwarded: str) -> Changes:
        client, proto, host = None, "", ""
        for element in reversed(parse_forwarded(forwarded)):
            # RFC 7239 §4: a proxy writes into one element whom it served, and under which name.
            proto, host = element.get("proto", ""), element.get("host", "")
            hop = parse_node(element.get("for", "unknown"))
            if hop.address is None:
                break
            client = hop
            if not self._trusts(hop.address):
                break
        return _changes(client, scheme, proto, host, "")


def _last(value: str) -> str:
    """Return the last item of a list: what the proxy nearest to us wrote."""
    items = parse_list(value)
    return items[-1] if items else ""


def _changes(client: Node | None, scheme: str, proto: str, host: str, port: str) -> Changes:
    """Return what follows for the environ; an empty string means that nothing was said.

    The port is what X-Forwarded-Port says, else the port in the host, else the scheme's own.
    """
    changes = {}
    if client and client.address:
        # An empty port, as of a unix-socket peer, says that none is known.
        changes = {"REMOTE_ADDR": client.address, "REMOTE_PORT": client.port or ""}
    if proto:
        scheme = proto.lower()
        if scheme not in DEFAULT_PORTS:
            raise MalformedFieldError(f'"{proto}" is neither http nor https')
        changes["wsgi.url_scheme"] = scheme
    if host or proto:
        changes["SERVER_PORT"] = DEFAULT_PORTS[scheme]
    if host:
        parsed = parse_host(host)
        changes["HTTP_HOST"] = host
        changes["SERVER_NAME"] = parsed.name
        if parsed.port:
            changes["SERVER_PORT"] = parsed.port
    if port:
        changes["SERVER_PORT"] = parse_port(port)
    return changes


def _refuse(
    error: MalformedFieldError, environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    """Answer 400: without a client's address, whatever counts or admits by it would err."""
    request_id = environ.get("bascule.request_id", "")
    extra = {"event": "forwarded_fields_refused", "request_id": request_id}
    _log.warning("forwarded fields refused: %s, in %r", error, environ[ORIGINAL], extra=extra)
    body = f"Bad Request: the proxy sent malformed fields: {error}\n".encode()
    start_response(
        "400 Bad Request",
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
