"""``python -m ops.attacks.sink``: takes what attackers send, and costs next to nothing.

An attack on it is for the usual client what the attackers by themselves are: they share a core.
Prints its port; answers what looks like the end of a request's head, and reads everything.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import sys
from typing import Final

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BACKLOG: Final = 4096
BLOCK: Final = 64 * 1024


def serve(listener: socket.socket) -> None:
    """Take connections and bytes until the process is ended."""
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listener.fileno():
                try:
                    sock, _ = listener.accept()
                except OSError:  # it has gone, or there is no descriptor left
                    continue
                sock.setblocking(False)
                connections[sock.fileno()] = sock
                epoll.register(sock.fileno(), select.EPOLLIN)
                continue
            try:
                data = connections[descriptor].recv(BLOCK)
                if b"\r\n\r\n" in data:
                    connections[descriptor].send(ANSWER)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                connections.pop(descriptor).close()


def main() -> None:
    """Listen on a port of the kernel's choice."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        serve(listener)


if __name__ == "__main__":
    main()
