"""Listening sockets: bind, inherit, and take a unix socket's path over from a running process."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from binascii import crc32
from collections.abc import Collection, Iterator
from typing import Final

from bascule.errors import StartError

# What the kernel takes as a unix socket's path or name, in bytes (unix(7)).
LONGEST: Final = 107
# Of a name that is made to be renamed: with the directory's in /proc it fits into an address.
LONGEST_TEMPORARY: Final = 80
# Connecting needs write permission: the owner and the group (nginx shares it) and nobody else.
UNIX_SOCKET_MODE: Final = 0o660
# Bytes that the kernel takes for a TCP client before it has sent those it has. Its own bound is
# some MiB, which thousands of clients that do not read would multiply.
UNSENT: Final = 256 * 1024


class Listener:
    """One listening socket.

    Attributes:
        socket: listening, non-blocking.
        url: where it serves, for people: ``http://127.0.0.1:8000`` or ``unix:/run/app.sock``.
        server: host and port for ``SERVER_NAME`` and ``SERVER_PORT``; a unix socket has neither,
            and stands for port 80 of localhost.
    """

    def __init__(self, sock: socket.socket, path: str = "", *, is_own: bool = True) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._path = path
        self._is_own = is_own
        self._temporary = _temporary_name(path) if path else ""
        self._inode = os.lstat(self._temporary).st_ino if self._temporary else 0
        if sock.family == socket.AF_UNIX:
            self.url = f"unix:{path or _shown(sock.getsockname())}"
            self.server = ("localhost", "80")
        else:
            host, port = sock.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self.url = f"http://{shown}:{port}"
            self.server = (host, str(port))
            # What is accepted inherits both (tcp(7)). A response must not wait for the next one;
            # and a client that reads slowly must not fill the kernel's memory.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    @property
    def is_unix(self) -> bool:
        return self.socket.family == socket.AF_UNIX

    def shared(self) -> Listener:
        """Return one in its place, for a forked process, which leaves the path alone."""
        other = Listener(self.socket.dup(), is_own=False)
        other.url = self.url
        self.socket.close()
        return other

    def publish(self) -> None:
        """Let clients in: a unix socket takes its path, in one step, from whoever had it.

        Raises:
            StartError: the path has become somebody else's.
        """
        if self._temporary:
            try:
                os.rename(self._temporary, self._path)
            except OSError as error:
                self.withdraw()
                raise StartError(f"cannot take over {self.url}: {error.strerror}") from error
            self._temporary = ""

    def has_rival(self) -> bool:
        """Whether another process serves at the path that this one is to take over."""
        if not self._temporary:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            # EAGAIN: it listens, though its backlog is full (unix(7)).
            return sock.connect_ex(self._path) in (0, errno.EAGAIN)

    def refuse(self) -> None:
        """Let nobody in any more; who waits in the backlog can still be accepted.

        Who found the path just before it was withdrawn would otherwise get into the backlog
        after the last look at it, and be reset. A unix socket of its own only: others may share
        an inherited one, and on TCP this would reset the backlog.
        """
        if self._is_own and self.is_unix:
            self.socket.shutdown(socket.SHUT_RD)

    def withdraw(self) -> None:
        """Remove a unix socket's path, unless another process has taken it over."""
        if self._temporary:
            _remove(self._temporary)
        elif self._path:
            with contextlib.suppress(FileNotFoundError):
                self._remove_own()

    def _remove_own(self) -> None:
        """Remove the path, unless it is another process's.

        One may take it over in this very moment. So what was ours just now is set aside first;
        what is ours for certain is removed then, and what is not goes back.
        """
        aside = _temporary_name(self._path)
        if os.lstat(self._path).st_ino == self._inode:
            os.rename(self._path, aside)
            if os.lstat(aside).st_ino == self._inode:
                os.unlink(aside)
            else:
                os.rename(aside, self._path)


def open_listener(
    address: str, backlog: int, mode: int = UNIX_SOCKET_MODE, beside: Collection[str] = ()
) -> Listener:
    """Return a socket that listens, not yet published.

    Args:
        address: ``HOST:PORT``, ``unix:PATH`` (absolute), ``unix:@NAME`` or ``fd://N``.
        backlog: connections that may wait to be accepted.
        mode: of a unix socket's file.
        beside: other addresses that are listened on: ``[::]`` leaves IPv4 to one of the same port.

    Raises:
        StartError: it cannot listen there.
    """
    try:
        if address.startswith("fd://"):
            return _inherit(int(address.removeprefix("fd://")))
        if address.startswith("unix:@"):
            return _bind_abstract(address.removeprefix("unix:@"), backlog)
        if address.startswith("unix:"):
            return _bind_unix(address.removeprefix("unix:"), backlog, mode)
        return _bind_tcp(address, backlog, any(_is_ipv4_of(address, each) for each in beside))
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {error.strerror or error}") from error


def _inherit(descriptor: int) -> Listener:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)  # programs that the application starts must not listen as well
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()  # whatever it is, it is not ours to close
        raise OSError("the descriptor is no listening socket")
    return Listener(sock, is_own=False)


def _is_ipv4_of(address: str, other: str) -> bool:
    """Return whether another address is one of IPv4, or a name, with the same port."""
    host, _, port = other.rpartition(":")
    return (
        not other.startswith(("unix:", "fd:", "[")) and bool(host) and address.endswith(f":{port}")
    )


def _bind_tcp(address: str, backlog: int, is_beside_ipv4: bool) -> Listener:
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, endpoint = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and is_beside_ipv4:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(endpoint)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return Listener(sock)


def _temporary_name(path: str) -> str:
    directory, name = os.path.split(path)
    temporary = f".{name}.{os.getpid()}"
    if len(os.fsencode(temporary)) > LONGEST_TEMPORARY:
        temporary = f".{crc32(os.fsencode(name)):08x}.{os.getpid()}"
    return os.path.join(directory, temporary)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _check_length(what: str, name: str) -> None:
    size = len(os.fsencode(name))
    if size > LONGEST:
        raise OSError(f"its {what} has {size} bytes, and {LONGEST} are the most")


def _shown(name: str | bytes) -> str:
    """Return a bound unix socket's name; an abstract one's begins with a zero byte (unix(7)).

    One that was bound by a temporary name keeps that.
    """
    if isinstance(name, bytes):
        return "@" + os.fsdecode(name[1:])
    directory, own = os.path.split(name)
    begin, _, pid = own[1:].rpartition(".")
    return os.path.join(directory, begin) if own[:1] == "." and pid.isdigit() else name


def _bind_abstract(name: str, backlog: int) -> Listener:
    """Bind a name that is no file: it is there at once, and gone with the socket."""
    _check_length("name", name)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(b"\0" + os.fsencode(name))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return Listener(sock)


def _bind_unix(path: str, backlog: int, mode: int) -> Listener:
    """Bind a temporary name beside the path; ``publish`` renames it."""
    _check_length("path", path)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError("the path is there and is no socket")
    temporary = _temporary_name(path)
    # Neither follows a link: unlink(2) removes what was put there, and bind(2) makes a new name.
    _remove(temporary)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_with_mode(sock, temporary, mode)
        sock.listen(backlog)
        return Listener(sock, path)
    except OSError:
        sock.close()
        _remove(temporary)
        raise


def _bind_with_mode(sock: socket.socket, path: str, mode: int) -> None:
    """Bind so that the file has its mode from the start.

    A chmod by name after it would change the wrong file where somebody has put a link there
    meanwhile. The umask is the whole process's: no other thread runs yet.
    """
    before = os.umask(0o777 & ~mode)
    try:
        with _address_of(path) as address:
            sock.bind(address)
    finally:
        os.umask(before)


@contextlib.contextmanager
def _address_of(path: str) -> Iterator[str]:
    """Give a path as a socket's address has room for it: a long one by way of its directory."""
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    directory, name = os.path.split(path)
    descriptor = os.open(directory, os.O_PATH)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
