"""The server's own events and the application's log records, as lines of text or of JSON.

What the server, the chain and ``wsgi.errors`` say is written here, whatever an application does to
``logging``: it may disable loggers, replace the handlers of the root, and have handlers that raise
or wait. Others hear of it afterwards: records go the usual way through ``logging`` as well, from
the loggers ``bascule.server``, ``bascule.*`` and ``wsgi.errors``. A handler on the root logger
gives the application's records the same form.

A JSON line is one object with ``time`` (UTC, RFC 3339, milliseconds), ``level``, ``event``,
``logger``, ``message``, and, where there are any, ``worker``, ``request_id`` and the event's own
keys; a traceback is one string under ``exception``.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from traceback import format_exception, walk_tb
from types import TracebackType
from typing import Any, Final, Protocol

from bascule import streams
from bascule.guard import Place

LOGGER: Final = logging.getLogger("bascule.server")
# Of the chain's links, which name theirs so, and of wsgi.errors.
CHAIN_PREFIX: Final = "bascule."
ERRORS_NAME: Final = "wsgi.errors"
# Records that wait for handlers of the application's; those beyond are not passed on.
QUEUED: Final = 1000
# How long they are waited for at the end of the process (seconds).
PATIENCE: Final = 1.0

# What every record has; whatever else a record carries was given through `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# An application may rename levels (logging.addLevelName).
_LEVELS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}

_LOG_HANDLER: Final = Place(
    "log_handler", "A log handler of the application failed; the record is in this log"
)
_LOG: Final = Place("log", "A record was not logged as it should have been")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{_to_the_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@functools.lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def level_name(record: logging.LogRecord) -> str:
    """Return the name of a record's level, in lower case."""
    return _LEVELS.get(record.levelno) or str(record.levelname).lower()


def event(
    level: int, name: str, message: str, error: BaseException | None = None, **details: Any
) -> None:
    """Log one event of the server; never raises, and waits for no handler of the application's.

    Args:
        level: as in ``logging``.
        name: the event's name, stable, for machines.
        message: one sentence, for people.
        error: its traceback is logged.
        details: further keys of the line.
    """
    info = None if error is None else (type(error), error, error.__traceback__)
    try:
        record = OwnRecord(LOGGER.name, level, __file__, 0, message, (), info, "event")
        vars(record).update(event=name, **details)
        _told.write(record)
        _told.pass_on(record)
    except Exception as failure:
        _LOG.note(failure)


class OwnRecord(logging.LogRecord):
    """A record that has been written by the time a handler sees it."""


class OwnHandler(logging.Handler):
    """A handler of the server's, for the records of others."""

    def createLock(self) -> None:  # noqa: N802  # logging's name
        """Have none, that a fork could find held: what is below has its own."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Leave out the server's own records; Python 3.13 would take the lock for there."""
        if isinstance(record, OwnRecord):
            return False
        passed = self.filter(record)
        if isinstance(passed, logging.LogRecord):  # from Python 3.12 on a filter may give another
            record = passed
        if passed:
            self.emit(record)
        return bool(passed)


class OwnLogger(logging.Logger):
    """A logger whose records are written before anybody else may stop them."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """Return whether somebody wants a record of the level, the server's log for one."""
        return level >= _told.level or super().isEnabledFor(level)

    def makeRecord(  # noqa: N802, PLR0917  # logging's name, and its arguments
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Any = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """Make one of the server's own, whatever factory an application has set."""
        record = OwnRecord(name, level, fn, lno, msg, args, exc_info, func, sinfo)
        vars(record).update(extra or {})
        return record

    def handle(self, record: logging.LogRecord) -> None:
        """Write the record, then have others handle it, on the thread that logs."""
        _told.write(record)
        _hand_to(self, record)


def _hand_to(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Have the application's handlers handle a record, if ``logging`` lets it pass."""
    try:
        if logging.Logger.isEnabledFor(logger, record.levelno):
            logging.Logger.handle(logger, record)
    except Exception as error:
        _LOG_HANDLER.note(error)


class Sink(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Write lines; may raise, which loses them."""


class _Nowhere:
    def write(self, text: str) -> None:
        pass


class _Told:
    """Where records are written, and to whom they are passed on."""

    def __init__(self) -> None:
        # Until it is configured this is a library, and `logging` alone decides.
        self.level = logging.CRITICAL + 1
        self.is_configured = False
        self.formatter: logging.Formatter = TextFormatter("")
        self.sink: Sink = _Nowhere()
        self.sink_of_others: Sink = self.sink
        self.filters: list[Callable[[logging.LogRecord], object]] = []
        self.listeners: list[Callable[[logging.LogRecord], None]] = []
        self._queue: queue.SimpleQueue[logging.LogRecord | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        """Begin anew in a forked process, which has none of the threads."""
        self._queue = queue.SimpleQueue()
        self._thread = None

    def write(self, record: logging.LogRecord) -> None:
        """Write a record of the server's own; never raises."""
        if record.levelno < self.level:
            return
        try:
            for each in self.filters:
                each(record)
        except Exception as error:
            _LOG.note(error)
        self.write_line(record)
        for listener in self.listeners:
            try:
                listener(record)
            except Exception as error:
                _LOG.note(error)

    def write_line(self, record: logging.LogRecord) -> None:
        """Write anybody's record; never raises."""
        try:
            line = self.formatter.format(record)
        except Exception as error:
            line = self.formatter.format(_in_place_of(record, error))
        sink = self.sink if record.name == LOGGER.name else self.sink_of_others
        try:
            sink.write(line + "\n")
        except Exception as error:
            _LOG.note(error)

    def pass_on(self, record: logging.LogRecord) -> None:
        """Have handlers of the application's handle an event, on a thread of their own.

        One may wait for a network or for a lock, and the thread that has an event to tell is often
        the one that everybody waits for.
        """
        if not self.is_configured:
            _hand_to(LOGGER, record)
            return
        if not _has_foreign_handler(LOGGER) or self._queue.qsize() >= QUEUED:
            return
        if self._thread is None:
            self._thread = thread = threading.Thread(
                target=self._pass_on_all, args=(self._queue,), name="events", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter ends
                self._thread = None
                _LOG_HANDLER.note(error)
                return
        self._queue.put(record)

    @staticmethod
    def _pass_on_all(records: queue.SimpleQueue[logging.LogRecord | threading.Event]) -> None:
        while True:
            try:
                record = records.get()
                if isinstance(record, threading.Event):
                    record.set()
                else:
                    _hand_to(LOGGER, record)
            except BaseException as error:
                _LOG_HANDLER.note(error)

    def settle(self) -> None:
        """Wait until what was passed on has been handled, but not for ever."""
        if self._thread is not None:
            handled = threading.Event()
            self._queue.put(handled)
            handled.wait(PATIENCE)


def _has_foreign_handler(logger: logging.Logger | None) -> bool:
    while logger is not None:
        if not all(isinstance(each, OwnHandler) for each in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _in_place_of(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return what can be said of a record that cannot be formatted."""
    try:
        message = str(record.msg)
    except Exception:
        message = f"a {type(record.msg).__name__}"
    reason = f"{type(error).__name__} where it was formatted"
    said = OwnRecord(
        str(record.name),
        record.levelno,
        record.pathname,
        record.lineno,
        f"{message} ({reason}; logged at {record.pathname}:{record.lineno})",
        (),
        None,
    )
    said.created = record.created
    for key in ("event", "request_id"):
        if isinstance(value := getattr(record, key, None), str):
            setattr(said, key, value)
    return said


class _Formatter(logging.Formatter):
    """What both forms of a line have in common."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        """Return a traceback; logging's own has it printed, and applications replace ``print``."""
        try:
            return "".join(format_exception(*ei)).rstrip("\n")
        except Exception:  # or ``open``, by which it finds the lines
            places = [
                f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
                for frame, line in walk_tb(ei[2])
            ]
            head = "Traceback (most recent call last):\n"
            return f"{head}{''.join(places)}{ei[0].__name__}: {ei[1]}"


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": level_name(record),
            "event": "log",
            "logger": record.name,
        }
        if self._worker:
            line["worker"] = self._worker
        line["message"] = record.getMessage()
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(_Formatter):
    """A line for a person: time, level, message; a traceback follows on lines of its own."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._prefix = f"[{worker}] " if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        text = (
            f"{timestamp(record.created)} {level_name(record):<8}"
            f"{self._prefix}{record.getMessage()}"
        )
        if request_id := getattr(record, "request_id", ""):
            text += f" request_id={request_id}"
        if record.exc_info:
            text += "\n" + (record.exc_text or self.formatException(record.exc_info))
        if stack := getattr(record, "stack", None):
            text += f"\n{stack}"
        return text


_told: Final = _Told()


class ErrorStream:
    """``wsgi.errors``: whatever is written becomes log records, a line each (PEP 3333)."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(ERRORS_NAME)
        self._thread = threading.local()  # two threads' half lines must not mix

    def write(self, text: str) -> int:
        partial = getattr(self._thread, "partial", "")
        *lines, self._thread.partial = (partial + text).split("\n")
        for line in lines:
            self._logger.error(line)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if getattr(self._thread, "partial", ""):
            self.write("\n")


class _RootHandler(OwnHandler):
    """Writes the application's records."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, whatever it has in it."""
        _told.write_line(record)


def configure(log_format: str, level: str, worker: str, stream: Sink | None = None) -> None:
    """Write what is logged, install the handler of the root logger, and have no filter any more.

    Args:
        log_format: ``json``, or anything else for text.
        level: the lowest level that is logged, as ``logging`` spells it, in lower case.
        worker: the name that each line carries; empty for none.
        stream: where lines go; the server's own standard error when left out.
    """
    _told.formatter = JsonFormatter(worker) if log_format == "json" else TextFormatter(worker)
    _told.filters.clear()
    _told.sink = _told.sink_of_others = stream or streams.own(streams.STDERR)
    root = logging.getLogger()
    root.handlers[:] = [_RootHandler()]
    root.setLevel(level.upper())
    _told.level = root.level
    _told.is_configured = True
    keep()


def lead_others(sink: Sink) -> None:
    """Have what the application, the chain and ``wsgi.errors`` say written elsewhere.

    What the server says of itself stays on standard error, where a supervisor hears it.
    """
    _told.sink_of_others = sink


def keep() -> None:
    """From now on write what the chain's loggers and ``wsgi.errors`` are told, come what may.

    To be called once the application is loaded, and with it the chain, which makes its loggers.
    """
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        is_kept = name == ERRORS_NAME or name.startswith(CHAIN_PREFIX)
        if is_kept and isinstance(logger, logging.Logger) and logger is not LOGGER:
            logger.__class__ = OwnLogger


def add_filter(look: Callable[[logging.LogRecord], object]) -> None:
    """Have the server's own records looked at before they are written, on the thread that logs."""
    _told.filters.append(look)


def add_listener(listener: Callable[[logging.LogRecord], None]) -> None:
    """Have the server's own records told to somebody besides, once they are written."""
    _told.listeners[:] = [listener]


def settle() -> None:
    """Wait a moment for the application's handlers, at the end of the process."""
    _told.settle()
