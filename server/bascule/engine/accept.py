"""Accepting connections: as many a turn as starve nobody, and none while there is no room."""

from __future__ import annotations

import errno
import logging
import socket
from typing import Final

from bascule.engine.connection import Connection
from bascule.engine.listen import Listener
from bascule.engine.loop import EXCLUSIVE, READABLE
from bascule.engine.room import Room
from bascule.engine.service import Service
from bascule.guard import Place
from bascule.streams import STDERR, evade
from bascule.told.event_log import event
from bascule.wsgi import environ

# What one connection costs by itself, as bascule.http.head.EVENT has it: two usual requests or so.
ACCEPT: Final = 64
# And what it costs to close another one for it: one a turn.
MAKE_ROOM: Final = 256
# What those accepted in a turn, with their first requests, may cost; the rest waits in the backlog
# while those that are open are served.
SHARE_A_TURN: Final = 5 * ACCEPT

_ACCEPT: Final = Place(
    "accept", "Accepting connections failed, and is tried again at the next tick"
)

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# That client has gone before it was accepted, or never comes (accept(2), "Error handling").
_GONE: Final = frozenset(
    {
        *(errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET),
    }
)


class Acceptor:
    """Accepts what clients connect to one listener."""

    def __init__(self, listener: Listener, service: Service, room: Room) -> None:
        self._listener = listener
        self._service = service
        self._room = room
        self._template = environ.template(listener.server, multithread=service.config.threads > 1)
        self._socket = listener.socket
        self._kind = (int(self._socket.family), int(self._socket.type), self._socket.proto)
        self._is_unix = listener.is_unix
        self._paused = True
        self._lack = ""  # why no more were accepted
        self._left = SHARE_A_TURN  # in this turn

    def resume(self) -> None:
        """Accept connections, again or for the first time; to be called by the leader."""
        if self._paused:
            self._paused = False
            descriptor = self._listener.socket.fileno()
            self._service.loop.register(descriptor, self._on_event, READABLE | EXCLUSIVE)

    def close(self) -> None:
        """Accept what waits in the backlog, and nothing after it."""
        self._listener.withdraw()
        self._listener.refuse()
        while not self._paused and self._accept():
            pass
        self._service.loop.unregister(self._listener.socket.fileno())
        self._listener.socket.close()

    def _on_event(self, _mask: int) -> None:
        try:
            self._accept_some()
        except BaseException as error:
            _ACCEPT.note(error)
            self._rest()

    def _accept_some(self) -> None:
        self._left = SHARE_A_TURN
        is_first = True
        while self._left > 0:
            self._left -= ACCEPT
            if not self._accept():
                # Who has been accepted just now makes room in the next turn, if not before.
                if self._lack and is_first:
                    self._pause(self._lack)
                return
            is_first = False

    def _accept(self) -> bool:
        """Accept one connection; return whether there may be more."""
        self._lack = ""
        if not self._room.is_left and not self._make_room():
            self._lack = "those that may be open all have a request"
            return False
        try:
            # What socket.accept() does, but for four enum members a connection.
            descriptor, peer = self._socket._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in _GONE:
                return True
            if error.errno not in _EXHAUSTED:
                raise
            if self._make_room():
                return True
            self._lack = str(error.strerror)
            return False
        if descriptor <= STDERR:  # what anybody prints would go to the client
            descriptor = evade(descriptor)
        sock = socket.SocketType(*self._kind, descriptor)
        sock.setblocking(False)
        shared = self._template
        if not self._is_unix:
            shared = {**shared, "REMOTE_ADDR": peer[0], "REMOTE_PORT": str(peer[1])}
        self._left -= Connection(sock, shared, self._service).begin()
        return True

    def _make_room(self) -> bool:
        self._left -= MAKE_ROOM
        return self._room.make(self._service.loop.now)

    def _rest(self) -> None:
        self._paused = True
        self._service.loop.unregister(self._listener.socket.fileno())

    def _pause(self, reason: str) -> None:
        """Leave clients in the backlog until the next tick, rather than ask in a busy loop."""
        self._rest()
        event(
            logging.ERROR,
            "accept_paused",
            f"cannot accept connections: {reason}; "
            f"{len(self._service.connections)} are open. Raise the limit of open files "
            f"(ulimit -n), or --worker-connections",
        )
