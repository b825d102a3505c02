"""Writes records through the standard library's logging, one with a traceback.

/thread  one more, on a thread of its own
/slow    one more after a while, which names the query
"""

from __future__ import annotations

import logging
import threading
import time

LOGGER = logging.getLogger("tests.logs")
LOGGER.info("for all requests")


def application(environ, start_response):
    """Log a warning and an error, then answer."""
    LOGGER.warning("a warning in\ntwo lines", extra={"request_id": "r-1", "event": "on_purpose"})
    try:
        raise ValueError("logged on purpose")
    except ValueError:
        LOGGER.exception("an error")
    LOGGER.debug("for nobody")
    if environ["PATH_INFO"] == "/thread":
        thread = threading.Thread(target=LOGGER.warning, args=("on a thread of its own",))
        thread.start()
        thread.join()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.05)
        LOGGER.warning("after a while %s", environ["QUERY_STRING"])
    start_response(
        "200 OK",
        [("X-Application", "logs"), ("Content-Type", "text/plain"), ("Content-Length", "3")],
    )
    return [b"ok\n"]
