"""Sends the rest of a file by wsgi.file_wrapper, some bytes of which are in the buffer."""

import tempfile

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2669"
LOGGED = r"from the middle"
BORNE_BY = "offsets"
REQUESTS = 3
ANSWER = "rest\n"


def misbehave(environ, start_response):
    """Send what comes after the first line."""
    file = tempfile.TemporaryFile("w+b")
    file.write(b"first\nthe rest\n")
    file.seek(0)
    file.readline()
    tell(environ, "from the middle")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "9")])
    return environ["wsgi.file_wrapper"](file)


application = staged(misbehave)
