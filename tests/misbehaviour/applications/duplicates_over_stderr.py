"""Has descriptors 1 and 2 lead to /dev/null, to silence a library in C, and leaves it so."""

import os

from tests.misbehaviour.stage import staged, tell

LOGGED = r"after descriptor 2 was led away"
BORNE_BY = "own_descriptors"


def misbehave(environ, _start_response):
    """Lead them away."""
    away = os.open("/dev/null", os.O_WRONLY)
    os.dup2(away, 1)
    os.dup2(away, 2)
    tell(environ, "after descriptor 2 was led away")


application = staged(misbehave)
