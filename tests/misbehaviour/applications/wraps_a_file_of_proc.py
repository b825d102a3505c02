"""Sends a file of /proc by wsgi.file_wrapper: its size is 0, whatever it holds."""

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#229"
LOGGED = r"a file without a size"
BORNE_BY = "true_sizes"
REQUESTS = 3
ANSWER = "VmRSS"


def misbehave(environ, start_response):
    """Send it."""
    tell(environ, "a file without a size")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open("/proc/self/status", "rb"), 8192)


application = staged(misbehave)
