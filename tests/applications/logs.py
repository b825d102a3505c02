"""Writes records through the standard library's logging, one with a traceback."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("tests.logs")


def application(environ, start_response):
    """Log a warning and an error, then answer."""
    LOGGER.warning("a warning in\ntwo lines", extra={"request_id": "r-1", "event": "on_purpose"})
    try:
        raise ValueError("logged on purpose")
    except ValueError:
        LOGGER.exception("an error")
    LOGGER.debug("for nobody")
    start_response(
        "200 OK",
        [("X-Application", "logs"), ("Content-Type", "text/plain"), ("Content-Length", "3")],
    )
    return [b"ok\n"]
