"""Gives wsgi.file_wrapper what has a fileno that raises, or can only be read."""

import io
import itertools

from tests.misbehaviour.stage import staged, tell

REPORT = "unbit/uwsgi#1126"
LOGGED = r"no descriptor"
BORNE_BY = "only_files"
REQUESTS = 4
ANSWER = "from memory"


class Reads:
    """Has nothing but read."""

    def __init__(self):
        self.read = io.BytesIO(b"from memory\n").read


KINDS = itertools.cycle([lambda: io.BytesIO(b"from memory\n"), Reads])


def misbehave(environ, start_response):
    """Send the next one."""
    tell(environ, "no descriptor")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return environ["wsgi.file_wrapper"](next(KINDS)(), 4)


application = staged(misbehave)
