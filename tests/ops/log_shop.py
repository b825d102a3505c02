"""An application for the tests of the log: /slow, /hang and /raise do so; /log logs and prints."""

from __future__ import annotations

import logging
import sys
import time

LOG = logging.getLogger("shop")


def connect(server):
    """Wait for a server that does not answer."""
    time.sleep(1.5)


def load(item):
    """Log, then hang."""
    LOG.info("loading %s", item)
    connect("db")


def price(item):
    """Raise."""
    return {"a": 1}[item]


def application(environ, start_response):
    """Answer as the path says."""
    path = environ["PATH_INFO"]
    if path == "/hang":
        load("a")
    if path == "/slow":
        time.sleep(0.1)
    if path == "/raise":
        price("b")
    if path == "/log":
        LOG.warning("to be looked into", extra={"customer": 12})
        sys.stderr.write("printed past the log\n")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
