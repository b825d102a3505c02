"""Many hostile connections of one process, as an `Attack` has them; nothing here waits for one."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from tests.attack.plans import BLOCK, Attack, Reads

# Connections opened a second, at the most: a flood that has to come from somewhere.
OPENED_A_SECOND: Final = 4000
LITTLE: Final = 64  # bytes
# Of a client that reads little: the window that it announces is about as small as TCP allows.
SMALL_BUFFER: Final = 2048
LONGEST_WAIT: Final = 0.02
_NOTHING: Final = memoryview(b"")


class _Bot:
    """One hostile connection."""

    __slots__ = ("connected", "due", "ends", "sock", "source", "unsent")

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self.sock = sock
        self.ends = ends
        self.due = 0.0
        self.unsent = _NOTHING
        self.source: Iterator[bytes] | None = None
        self.connected = False


class Swarm:
    """Keeps an attack's connections open and busy.

    Args:
        attack: what they do.
        host: of the server, an IPv4 address.
        port: of the server.

    Attributes:
        opened: connections that the server's side has taken, ever.
        lost: those of them that the server has ended.
    """

    def __init__(self, attack: Attack, host: str, port: int) -> None:
        self._attack = attack
        self._address = (host, port)
        self._epoll = select.epoll()
        self._bots: dict[int, _Bot] = {}
        self._clock: deque[_Bot] = deque()  # in the order in which they are due
        self._endless = attack.then is not None and not (attack.interval or attack.after_answer)
        self._allowance = 0.0
        self._refilled = time.monotonic()
        self.opened = 0
        self.lost = 0

    @property
    def connections(self) -> int:
        """How many are connected now."""
        return sum(bot.connected for bot in self._bots.values())

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Attack while told to; each question comes after a few milliseconds."""
        while goes_on():
            self._open_more()
            for descriptor, mask in self._epoll.poll(LONGEST_WAIT, 512):
                bot = self._bots.get(descriptor)
                if bot is not None:
                    self._act(bot, mask)
            self._act_by_the_clock()

    def close(self) -> None:
        """End every connection at once."""
        for bot in list(self._bots.values()):
            self._forget(bot)
        self._epoll.close()

    def _open_more(self) -> None:
        now = time.monotonic()
        self._allowance += (now - self._refilled) * OPENED_A_SECOND
        self._allowance = min(self._allowance, OPENED_A_SECOND * LONGEST_WAIT)
        self._refilled = now
        missing = self._attack.connections - len(self._bots)
        for _ in range(min(missing, int(self._allowance))):
            self._allowance -= 1
            self._open(now)

    def _open(self, now: float) -> None:
        sock = socket.socket()
        if self._attack.reads is not Reads.ALL:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.setblocking(False)
        if sock.connect_ex(self._address) not in (0, errno.EINPROGRESS):
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bot = _Bot(sock, now + self._attack.lifetime)
        self._bots[sock.fileno()] = bot
        self._epoll.register(sock.fileno(), select.EPOLLOUT)

    def _forget(self, bot: _Bot) -> None:
        self._bots.pop(bot.sock.fileno(), None)
        # A reset: this side leaves nothing behind in TIME_WAIT.
        with contextlib.suppress(OSError):
            bot.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        bot.sock.close()

    def _act(self, bot: _Bot, mask: int) -> None:
        if not bot.connected:
            if mask & (select.EPOLLERR | select.EPOLLHUP):
                self._forget(bot)
                return
            self._begin(bot)
        elif mask & select.EPOLLOUT:
            self._send(bot)
        elif self._attack.reads is Reads.ALL:
            self._read(bot, BLOCK)
        else:
            self._lose(bot)  # the poller tells of nothing else

    def _begin(self, bot: _Bot) -> None:
        bot.connected = True
        self.opened += 1
        attack = self._attack
        bot.source = attack.then() if attack.then else None
        bot.unsent = memoryview(attack.first)
        if attack.after_answer and bot.source is not None:
            bot.unsent = memoryview(attack.first + next(bot.source))
        if attack.interval or attack.lifetime < float("inf"):
            bot.due = time.monotonic() + (attack.interval or attack.lifetime)
            self._clock.append(bot)
        self._send(bot)

    def _send(self, bot: _Bot) -> None:
        try:
            if not bot.unsent and self._endless and bot.source is not None:
                bot.unsent = memoryview(next(bot.source))
            if bot.unsent:
                bot.unsent = bot.unsent[bot.sock.send(bot.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._lose(bot)
            return
        reading = select.EPOLLIN if self._attack.reads is Reads.ALL else 0
        writing = select.EPOLLOUT if bot.unsent or self._endless else 0
        self._epoll.modify(bot.sock.fileno(), reading | writing)
        if reading and self._endless:
            self._read(bot, BLOCK)

    def _read(self, bot: _Bot, size: int) -> None:
        try:
            received = bot.sock.recv(size)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._lose(bot)
        elif self._attack.after_answer and bot.source is not None:
            bot.unsent = memoryview(next(bot.source))
            self._send(bot)

    def _lose(self, bot: _Bot) -> None:
        self.lost += 1
        self._forget(bot)

    def _act_by_the_clock(self) -> None:
        now = time.monotonic()
        while self._clock and self._clock[0].due <= now:
            bot = self._clock.popleft()
            if bot.sock.fileno() < 0:
                continue
            if bot.ends <= now:
                self._forget(bot)
                continue
            bot.due = now + (self._attack.interval or self._attack.lifetime)
            self._clock.append(bot)
            if self._attack.reads is Reads.LITTLE:
                self._read(bot, LITTLE)
            if bot.source is not None and not self._endless and not bot.unsent:
                bot.unsent = memoryview(next(bot.source))
                self._send(bot)
