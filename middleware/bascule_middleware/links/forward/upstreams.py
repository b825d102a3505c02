"""Sends one request to one upstream and reads its response, over pooled connections of urllib3.

urllib3 brings the pool, the connections and the reading; nothing of its own gets onto the wire,
and it repeats and follows nothing. What it takes over from `http.client` and is too lenient for a
gateway is checked here: a head must be made of lines as RFC 9112 has them, and say one thing about
the body's length. A response that is not so breaks the connection, which is the only safe thing to
do with it (RFC 9112 §6.3).
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import LifoQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as SilenceError
from urllib3.util import SKIP_HEADER

from bascule_middleware.links.forward.retry import Failure, UpstreamError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from bascule_middleware.links.forward.intermediary import Outgoing

BLOCK = 64 * 1024  # bytes of a body that are in memory at a time

# Connections idle for longer (seconds) are closed: a server that closes one at the moment a request
# is sent makes that request fail. The shortest keep-alive in use is gunicorn's, 2 s.
LONGEST_IDLE = 1.0

MAX_POOLED = 128  # idle connections that are kept for one upstream; threads are fewer
MAX_INTERIM = 16  # 1xx responses before the final one (RFC 9110 §15.2)
MAX_UNIX_PATH = 107  # bytes of sun_path, without its end (unix(7))

# status-line = HTTP-version SP status-code SP [ reason-phrase ]   (RFC 9112 §4)
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2} [\t \x21-\x7e\x80-\xff]*\r\n").fullmatch
# field-line = field-name ":" OWS field-value OWS                  (RFC 9112 §5)
_FIELD_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t \x21-\x7e\x80-\xff]*\r\n").fullmatch
_LENGTH = re.compile(r"[0-9]{1,18}").fullmatch


@dataclass(frozen=True)
class Address:
    """Where an upstream listens: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 80
    path: str = ""


def parse_address(text: str) -> Address:
    """Parse "http://host:port" or "unix:/path". Raises ValueError, whose text can be shown."""
    scheme, _, rest = text.partition(":")
    if scheme == "unix":
        if not rest or "\0" in rest or len(rest.encode()) > MAX_UNIX_PATH:
            raise ValueError(f'"{text}" must name a socket, in at most {MAX_UNIX_PATH} bytes')
        return Address(path=rest)
    remedy = 'write "http://host:port" or "unix:/path/of.sock"'
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f'"{text}" is not an address; {remedy}') from None
    if scheme != "http" or not host or not text.isprintable() or " " in text:
        raise ValueError(f'"{text}" is not an address; {remedy}')
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f'"{text}" has more than a host and a port; {remedy}')
    return Address(host, port or 80)


class _Lines:
    """The lines of a head, each checked before anybody interprets it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_first = True
        self.close = file.close

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit)
        if self._is_first:
            self._is_first = False
            well_formed = not line or _STATUS_LINE(line)
        else:
            well_formed = line == b"\r\n" or _FIELD_LINE(line)
            self._is_first = line == b"\r\n"  # of an interim response: another head follows
        if not well_formed:
            raise http.client.HTTPException(f"a malformed line in the head: {line[:80]!r}")
        return line


class _Response(http.client.HTTPResponse):
    """A response whose head is held to RFC 9112; interim responses are skipped."""

    def begin(self) -> None:
        file = self.fp
        self.fp = _Lines(file)  # type: ignore[assignment]  # all that the reading of a head uses
        try:
            super().begin()
            for _ in range(MAX_INTERIM):
                if self.status == http.client.SWITCHING_PROTOCOLS or self.status >= 200:
                    break
                # http.client takes every interim response but 100 for the final one.
                self.headers = self.msg = None  # type: ignore[assignment]
                super().begin()
        finally:
            if self.fp is not None:
                self.fp = file
        if self.status < 200:
            raise http.client.HTTPException("an interim response instead of a final one")
        self._check_framing()
        if self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            self.chunked = False  # there is no body whatever the fields say (RFC 9112 §6.3)

    def _check_framing(self) -> None:
        """Refuse what two readers could frame differently (RFC 9112 §6.1, §6.3)."""
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if len(lengths) > 1 or (lengths and not _LENGTH(lengths[0].strip(" \t"))):
            raise http.client.HTTPException(f"Content-Length: {', '.join(lengths)}")
        if codings and (lengths or self.version != 11 or codings[0].lower() != "chunked"):
            raise http.client.HTTPException(f"Transfer-Encoding: {', '.join(codings)}")
        if len(codings) > 1:
            raise http.client.HTTPException("Transfer-Encoding twice")


class _Connection(HTTPConnection):
    """A connection to an address of either kind that adds no field to what it is given."""

    response_class = _Response

    def __init__(self, *args: Any, address: Address, connect_timeout: float, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._address = address
        self._connect_timeout = connect_timeout
        self._used = 0.0

    def connect(self) -> None:
        """Connect within its own time; what is sent and read has the pool's."""
        address = self._address
        try:
            if address.path:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(self._connect_timeout)
                self.sock.connect(address.path)
            else:
                where = address.host, address.port
                self.sock = socket.create_connection(where, self._connect_timeout)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "not connected in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA has not
            raise NewConnectionError(self, str(error)) from error
        self.sock.settimeout(self.timeout)

    @property
    def is_fresh(self) -> bool:
        """Whether its last response is recent."""
        return time.monotonic() - self._used < LONGEST_IDLE

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use it again."""
        return self.is_fresh and super().is_connected

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used = time.monotonic()
        return response

    def putheader(self, header: str | bytes, *values: Any) -> None:
        # By identity: urllib3 compares, and a client could send the same text.
        if values[0] is not SKIP_HEADER:
            http.client.HTTPConnection.putheader(self, header, *values)


class _IdleConnections(LifoQueue["_Connection | None"]):
    """The connections that a pool has to give away; those left over for too long are closed.

    An upstream that shuts down gracefully waits for that. A timer runs only while there are any.
    """

    def __init__(self, maxsize: int) -> None:
        super().__init__(maxsize)
        self._timer: threading.Timer | None = None

    def put(
        self, item: _Connection | None, block: bool = True, timeout: float | None = None
    ) -> None:
        super().put(item, block, timeout)
        if item is not None:
            self._sweep_later()

    def _sweep_later(self) -> None:
        with self.mutex:
            if self._timer is None:
                self._timer = threading.Timer(LONGEST_IDLE, self._sweep)
                self._timer.daemon = True
                self._timer.start()

    def _sweep(self) -> None:
        with self.mutex:
            self._timer = None
            stale = [each for each in self.queue if each and not each.is_fresh]
            # The pool counts on as many entries as it may have connections.
            self.queue = [None if each in stale else each for each in self.queue]
            others = any(self.queue)
        for connection in stale:
            connection.close()
        if others:
            self._sweep_later()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _IdleConnections  # type: ignore[assignment]  # generic there, of connections here


class Upstream:
    """One upstream and the connections to it. Connects when the first request is sent.

    Args:
        address: where it listens.
        connect_timeout: seconds to connect.
        response_timeout: seconds of silence, and of waiting to send, before it counts as failed.
    """

    def __init__(self, address: Address, connect_timeout: float, response_timeout: float) -> None:
        self._timeout = response_timeout
        self._pool = _Pool(
            address.host or "localhost",  # of a unix socket never looked at
            address.port,
            maxsize=MAX_POOLED,
            address=address,
            connect_timeout=connect_timeout,
        )

    def send(
        self, request: Outgoing, body: Iterator[bytes] | None, *, timeout: float | None = None
    ) -> Response:
        """Send a request and return its response once the head and some of the body are there.

        `timeout` stands for the response timeout. Raises UpstreamError, and what iterating the
        body raises, but for OSError.
        """
        seconds = timeout or self._timeout
        fields = {"User-Agent": SKIP_HEADER, "Accept-Encoding": SKIP_HEADER} | request.fields
        with translated():
            response = self._pool.urlopen(
                request.method,
                request.target,
                body,
                fields,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=seconds, read=seconds),
                preload_content=False,
                decode_content=False,
                chunked=request.length is None,
            )
        return Response(response)


class Response:
    """A response: its head, and its body as blocks, the first of which is here already.

    Servers send a head with the first block (PEP 3333), so nothing waits for this; and as long as
    that has not come, another upstream can still be asked.
    """

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        phrase = response.reason or http.client.responses.get(response.status, "Unknown")
        self.status = f"{response.status} {phrase}"
        self.fields = [(name, value.strip(" \t")) for name, value in response.headers.items()]
        self.version = "1.0" if response.version == 10 else "1.1"
        try:
            self.first = self.read()
        except BaseException:
            raise

    def read(self) -> bytes:
        """Return the next bytes as they come, at most BLOCK; none at the end. Raises UpstreamError.

        At the end the connection goes back to the pool.
        """
        remaining = self._response.length_remaining
        with translated():
            return self._response.read1(BLOCK if remaining is None else min(BLOCK, remaining or 1))

    def close(self) -> None:
        """Be done with it: close the connection unless the body was read to its end."""
        self._response.close()
        self._response.release_conn()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn urllib3's errors into UpstreamError."""
    try:
        yield
    except NewConnectionError as error:
        raise UpstreamError(Failure.UNREACHABLE, _reason(error)) from error
    except ConnectTimeoutError as error:
        raise UpstreamError(Failure.NOT_IN_TIME, "not connected in time") from error
    except HTTPError as error:
        # While a body is sent, urllib3 takes a timeout for a broken connection.
        causes = (error, error.__cause__, *error.args)
        silent = any(isinstance(cause, SilenceError | TimeoutError) for cause in causes)
        if silent:
            raise UpstreamError(Failure.SILENT, "nothing in time") from error
        raise UpstreamError(Failure.LOST, _reason(error)) from error


def _reason(error: HTTPError) -> str:
    cause = error.__cause__ or next(
        (each for each in error.args if isinstance(each, Exception)), error
    )
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
