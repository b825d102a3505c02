"""Holds so many files open that new ones have numbers that select(2) cannot take."""

import os
import resource

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2994"
LOGGED = r"descriptors beyond 1024"
BORNE_BY = "epoll"

HELD = []


def misbehave(environ, _start_response):
    """Raise the limit, and open them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    while not HELD or HELD[-1] <= 1100:
        HELD.append(os.open("/dev/null", os.O_RDONLY))
    tell(environ, "descriptors beyond 1024")


application = staged(misbehave)
