"""Forks, and logs a record in the child and one in the parent."""

from __future__ import annotations

import logging
import os


def application(environ, start_response):
    """Answer once the child has ended."""
    child = os.fork()
    if not child:
        logging.getLogger("tests").warning("of the child")
        os._exit(0)
    os.waitpid(child, 0)
    logging.getLogger("tests").warning("of the parent")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well\n"]
