"""Prints to standard output, which under CGI would be the response.

/print        with print()
/descriptor   on descriptor 1, as a library in C would
/process      by a process that it starts
"""

from __future__ import annotations

import os
import subprocess

NOISE = "printed to standard output"
WAYS = {
    "/print": lambda: print(NOISE),
    "/descriptor": lambda: os.write(1, f"{NOISE}\n".encode()),
    "/process": lambda: subprocess.run(["/bin/echo", NOISE], check=True),
}


def application(environ, start_response):
    """Answer with one line, after the noise."""
    WAYS[environ["PATH_INFO"]]()
    environ["wsgi.errors"].write("written afterwards\n")
    start_response("200 OK", [("X-Application", "prints"), ("Content-Type", "text/plain")])
    return [b"the response\n"]
