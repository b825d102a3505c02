"""Gives every socket that is made from now on a timeout; some clients say nothing."""

import socket

from tests.misbehaviour.stage import staged, tell

LOGGED = r"sockets have a timeout"
BORNE_BY = "own_blocking"
SILENT = 3

socket.setdefaulttimeout(30)


def misbehave(environ, _start_response):
    """Say so."""
    tell(environ, "sockets have a timeout")


application = staged(misbehave)
