"""Makes a daemon by the book: two forks, a session, every descriptor closed."""

import os
import time

from tests.misbehaviour.stage import staged, tell

LOGGED = r"a daemon by the book"
BORNE_BY = "silent_forks"
REQUESTS = 3


def misbehave(environ, _start_response):
    """Fork twice."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 4096)
            os.chdir("/")
            os.umask(0)
            time.sleep(15)
        os._exit(0)
    os.waitpid(child, 0)
    tell(environ, "a daemon by the book")


application = staged(misbehave)
