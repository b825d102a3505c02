"""Puts a class of its own, which raises, in place of socket.socket, as tracers do."""

import socket

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2796"
LOGGED = r"sockets are patched"
BORNE_BY = "socket_of_c"


class Traced(socket.socket):
    """Raises where it is used outside of a trace."""

    def send(self, *_arguments):
        raise RuntimeError("no trace")

    sendall = sendmsg = sendfile = recv = recv_into = send


def misbehave(environ, _start_response):
    """Patch it."""
    socket.socket = Traced
    tell(environ, "sockets are patched")


application = staged(misbehave)
