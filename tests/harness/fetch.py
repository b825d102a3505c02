"""One HTTP client for whatever is no matter of bytes: Python's own, over TCP, TLS or a unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LIMIT: Final = 20.0  # seconds for any one step of a request
# What there is instead of a whole response.
NO_RESPONSE: Final = (OSError, http.client.HTTPException)

Connection = http.client.HTTPConnection
# A port of 127.0.0.1, a host and its port, or the path of a unix socket.
Address = int | tuple[str, int] | Path


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, read to its end."""

    status: int
    fields: http.client.HTTPMessage
    body: bytes

    def field(self, name: str) -> str | None:
        """The field's value; where it stands several times, all of them with commas between."""
        values = self.fields.get_all(name)
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body, which is UTF-8."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """What the body says as JSON."""
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, limit: float) -> None:
        super().__init__("localhost", timeout=limit)
        self._path = str(path)

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        self.sock = sock


def connect(
    address: Address,
    *,
    limit: float = LIMIT,
    tls: ssl.SSLContext | None = None,
    source: str | None = None,
) -> Connection:
    """Return a connection for several requests, which the first one opens.

    Args:
        address: whom to ask.
        limit: seconds for any one step.
        tls: speaks TLS, so.
        source: the client's address.
    """
    if isinstance(address, Path):
        return _UnixConnection(address, limit)
    host, port = ("127.0.0.1", address) if isinstance(address, int) else address
    if tls:
        return http.client.HTTPSConnection(host, port, timeout=limit, context=tls)
    return http.client.HTTPConnection(
        host, port, timeout=limit, source_address=(source, 0) if source else None
    )


def ask(
    connection: Connection,
    target: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Reply:
    """Send a request on a connection and read all of its response.

    A body in parts goes out chunked, unless a field says how long it is.

    Raises:
        NO_RESPONSE: no whole response came.
    """
    connection.request(method, target, body, dict(fields or {}))
    with connection.getresponse() as response:
        return Reply(response.status, response.headers, response.read())


def fetch(
    address: Address,
    target: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    limit: float = LIMIT,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send one request on a connection of its own; see `connect` and `ask`."""
    with contextlib.closing(connect(address, limit=limit, tls=tls)) as connection:
        return ask(connection, target, method, body, fields)
