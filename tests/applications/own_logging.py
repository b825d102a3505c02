"""Configures logging as applications do, to the harm of whoever logs beside them.

$LOGGING does it at import, the path in a call: one of WAYS. Then, in a call:

/raise         the application raises
/tell          tells wsgi.errors, and a logger of its own
/slow          takes long enough to be sampled
/seen          answers with the events that a handler of the application's has seen
"""

from __future__ import annotations

import logging
import logging.config
import os
import threading
import time
from pathlib import Path

SEEN = []
FOR_EVER = threading.Event()


class Sees(logging.Handler):
    """A handler that keeps what it sees."""

    def emit(self, record):
        """Keep the record's event."""
        SEEN.append(getattr(record, "event", record.getMessage()))


class Raises(logging.Handler):
    """A handler that raises, without logging's own care for that."""

    def handle(self, record):
        """Raise."""
        raise RuntimeError("a handler of the application's raises")


class Exits(logging.Handler):
    """A handler that ends the process, as far as it is up to it."""

    def emit(self, record):
        """Raise what is not caught with Exception."""
        raise SystemExit(3)


class Blocks(logging.Handler):
    """A handler whose other end never answers."""

    def emit(self, record):
        """Wait for ever."""
        if record.name == "bascule.server":
            FOR_EVER.wait()


class Slots(logging.Logger):
    """A logger class of the application's, which raises."""

    def handle(self, record):
        """Raise."""
        raise RuntimeError("a logger of the application's raises")


def add(handler):
    """Add a handler to the root."""
    logging.getLogger().addHandler(handler)


def hold_lock():
    """Have a thread hold the lock of a handler for ever."""
    handler = Sees()
    add(handler)
    held = threading.Event()

    def hold():
        with handler.lock:
            held.set()
            FOR_EVER.wait()

    threading.Thread(target=hold, daemon=True).start()
    held.wait()


def no_records(*arguments, **named):
    """Make no record."""
    raise RuntimeError("a factory of the application's raises")


def forget_loggers():
    """Empty the registry of loggers."""
    logging.Logger.manager.loggerDict.clear()
    logging.root.handlers.clear()


DICT = {"version": 1, "handlers": {}, "root": {"level": "CRITICAL", "handlers": []}}
SEEING = {
    "version": 1,
    "handlers": {"seen": {"()": Sees}},
    "root": {"level": "INFO", "handlers": ["seen"]},
}
INI = Path(__file__).with_suffix(".ini")

WAYS = {
    "nothing": lambda: None,
    "dict": lambda: logging.config.dictConfig(DICT),
    "dict-kept": lambda: logging.config.dictConfig({**SEEING, "disable_existing_loggers": False}),
    "file": lambda: logging.config.fileConfig(INI),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "shutdown": logging.shutdown,
    "no-handlers": logging.root.handlers.clear,
    "level": lambda: logging.root.setLevel(logging.CRITICAL),
    "sees": lambda: add(Sees()),
    "raises": lambda: add(Raises()),
    "exits": lambda: add(Exits()),
    "blocks": lambda: add(Blocks()),
    "lock": hold_lock,
    "factory": lambda: logging.setLogRecordFactory(no_records),
    "class": lambda: logging.setLoggerClass(Slots),
    "manager": forget_loggers,
    "no-exceptions": lambda: setattr(logging, "raiseExceptions", False),
    "levels": lambda: logging.addLevelName(logging.ERROR, "\033[31mBAD"),
}
WAYS[os.environ.get("LOGGING") or "nothing"]()


def application(environ, start_response):
    """Do it, or what is asked for."""
    way = environ["PATH_INFO"][1:]
    if way == "raise":
        raise LookupError("raised on purpose")
    if way in WAYS:
        WAYS[way]()
    if way == "slow":
        time.sleep(0.05)
    if way == "tell":
        environ["wsgi.errors"].write("told to wsgi.errors\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(SEEN).encode() if way == "seen" else b"well"]
