"""The process: it joins the parts, looks after deadlines, and drains when asked to stop."""

from __future__ import annotations

import enum
import faulthandler
import functools
import gc
import logging
import os
import signal
import threading
import time
from _thread import start_new_thread
from typing import TYPE_CHECKING, Final, NoReturn

from bascule import guard, streams, systemd
from bascule.config import Config
from bascule.engine.accept import Acceptor
from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.engine.deadlines import Deadlines
from bascule.engine.forks import Forks
from bascule.engine.listen import Listener, open_listener
from bascule.engine.loop import FOR_EVER, Loop
from bascule.engine.room import Room
from bascule.engine.service import Service
from bascule.engine.signals import TAKEN, StopWhileLoading, bear_strays, is_stray
from bascule.errors import LoopError, StartError
from bascule.guard import Failure, Place
from bascule.http.request import Request
from bascule.pid_file import PidFile
from bascule.told import event_log
from bascule.told.access_log import AccessLog
from bascule.told.counters import Counters
from bascule.told.event_log import event
from bascule.told.log_route import LogRoute
from bascule.told.metrics import INTERNAL_ERRORS, SLOW_CALLS, MetricsFileError, claim, private
from bascule.told.recent_errors import RecentErrors
from bascule.watch.hung_calls import HungCalls
from bascule.watch.in_flight import connections
from bascule.watch.memory import MemoryLimit
from bascule.watch.request_ids import RequestIds
from bascule.watch.slow_calls import SlowCalls
from bascule.watch.status import Status
from bascule.watch.status_socket import StatusSocket
from bascule.wsgi.load import check_library, load_application

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from wsgiref.types import WSGIApplication

# Deadlines are looked at once a tick (seconds): this often at the least, and often enough to be
# late by no more than a quarter of the shortest deadline.
LONGEST_TICK: Final = 0.5
SHORTEST_TICK: Final = 0.02

# Lines of the access log wait for others to be written with (seconds): a write costs as much as a
# quarter of a request. After a pause the first is written at once.
LOG_INTERVAL: Final = 0.005

# How often the main thread takes back signals that others have taken (seconds).
SIGNALS_INTERVAL: Final = 1.0

EXIT_OK: Final = 0
EXIT_CUT_SHORT: Final = 1  # requests were in flight when the time was up, or a call hung

# For the application's own threads and processes to end after the last request (seconds).
SHORTEST_EXIT: Final = 1.0

_COUNTERS: Final = Place("counters", "What was served is yet to be counted")
_LINES: Final = Place("access_log", "Lines of the access log are lost")
_MAIN: Final = Place("main", "A signal's handler of the application raised in the main thread")
_SLOW: Final = Place("slow_call", "A call that is slow was not sampled")
_WATCH: Final = Place("watch", "The watch over the only thread failed, and goes on")
_DRAIN: Final = Place("drain", "A part of the stop failed, and the others follow")
_END: Final = Place("end", "A part of the end failed, and the process ends")
# Parts of a tick.
_SIGNALS: Final = Place("tick_signals", "Signals were not taken back; the next tick does")
_DEADLINES: Final = Place("tick_deadlines", "Deadlines were not looked at; the next tick does")
_DRAINING: Final = Place("tick_draining", "The stop did not go on; the next tick sees to it")
_ACCEPTING: Final = Place("tick_accepting", "Connections are not accepted until the next tick")
_PUBLISHING: Final = Place("tick_publishing", "The socket was not published; the next tick tries")
_RECYCLING: Final = Place("tick_recycling", "Whether to be replaced is left to the next tick")
_OVERLOAD: Final = Place("tick_overload", "Refusals are reported later")
_ROOM: Final = Place("tick_room", "Closed connections are reported later")
_SHORTAGE: Final = Place("tick_shortage", "A lack of threads is reported later")
_HUNG: Final = Place("tick_hung", "Calls that hang were not looked for; the next tick does")
_SILENCE: Final = Place("tick_silence", "The watch over the interpreter was not renewed")
_LOST: Final = Place("tick_lost", "Requests that no thread has were not looked for")
_LOG_ROUTE: Final = Place("tick_log_route", "A rotated log is followed by the next tick")
_STREAMS: Final = Place("tick_streams", "Standard streams that were closed are still closed")


class Stop(enum.Enum):
    """How the process ends."""

    GRACEFUL = enum.auto()  # idle connections stay until the proxy closes them
    QUICK = enum.auto()  # idle connections are closed


class Worker:
    """One server process.

    Args:
        config: its settings.
        application: what it serves; else what the settings name.
        listeners: where it listens; else where the settings say.

    Raises:
        StartError: a socket, the log or the application is not to be had, or not in the memory.
    """

    def __init__(
        self,
        config: Config,
        application: WSGIApplication | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._config = config
        self._exit_code = EXIT_OK
        self._stop = Stop.GRACEFUL
        self._drain_ends = 0.0
        self._recycle_reason = ""
        self._recycle_at = 0.0
        self._listeners = list(listeners)
        self._pid_file = PidFile(config.pid) if config.pid else None
        self._status_socket: StatusSocket | None = None
        self._is_assembled = False
        Forks(self._let_go)
        self._held: list[Listener] = []  # those that have not taken their path yet
        self._loading = None if application else StopWhileLoading(self._withdraw, EXIT_OK)
        try:
            for address in () if listeners else config.bind:
                self._listeners.append(open_listener(address, config.backlog, beside=config.bind))
            if config.status_socket:
                self._status_socket = StatusSocket(config.status_socket)
            if self._loading:
                self._loading.watch()
            application = application or load_application(config.application, config.pythonpath)
            check_library(config.application)
            event_log.keep()
            event_log.add_filter(RequestIds().filter)
            for handler in logging.getLogger().handlers:  # the application may have set its own
                handler.addFilter(RequestIds())
            self._counters = self._open_counters()
            guard.tell(_tell_failure)
            if self._counters:
                guard.count(functools.partial(self._counters.add, INTERNAL_ERRORS))
            self._memory_limit = MemoryLimit(config.max_memory)
            # Not before the application is loaded: whoever watches a start reads standard error.
            self._log_route = LogRoute(config.log_route)
            event_log.lead_others(self._log_route.error)
            access_log = None
            if config.access_logfile != "off":
                access_log = AccessLog(
                    config.access_logfile,
                    config.access_logformat,
                    config.worker,
                    self._log_route.output,
                )
        except BaseException:
            if self._loading:
                self._loading.end()
            self._withdraw()
            raise
        self._assemble(application, access_log)

    def _open_counters(self) -> Counters | None:
        path = self._config.metrics_file
        if not path:
            return None
        try:
            cells = claim(path, self._config.worker)
        except MetricsFileError as error:
            raise StartError(f"--metrics-file: {error}") from error
        if cells is None:
            event(
                logging.WARNING,
                "metrics_full",
                f"{path} has no slot left, so nobody sees what this process counts: "
                "remove the file, then restart the workers",
            )
        return Counters(private() if cells is None else cells)

    @property
    def ports(self) -> list[int]:
        """The TCP ports that it listens on."""
        names = [listener.socket.getsockname() for listener in self._listeners]
        return [name[1] for name in names if isinstance(name, tuple)]

    def close(self) -> None:
        """Close the sockets, of a process that has not served or serves no more."""
        for listener in self._listeners:
            listener.socket.close()

    def _withdraw(self) -> None:
        """Remove the sockets of a process that is not going to serve."""
        for listener in self._listeners:
            listener.withdraw()
        self._withdraw_status()
        self._remove_pid_file()

    def _assemble(self, application: WSGIApplication, access_log: AccessLog | None) -> None:
        config = self._config
        self._loop = Loop(_tick(config))
        self._loop.on_tick = self._on_tick
        self._loop.on_signal = self._on_signal
        self._loop.on_turn = self._choose_on_turn(access_log)
        self._crew = Crew(
            config.threads,
            config.backlog_requests,
            self._loop.poll,
            self._on_slow_call,
        )
        self._hung_calls = HungCalls(self._crew, config.timeout, self._counters)
        self._request_limit = config.max_requests
        if config.max_requests and config.max_requests_jitter:
            # Workers that started together should not end together.
            chance = int.from_bytes(os.urandom(8))
            self._request_limit += chance % (config.max_requests_jitter + 1)
        self._service = Service(
            config=config,
            application=application,
            loop=self._loop,
            crew=self._crew,
            access_log=access_log,
            counters=self._counters,
            on_served=self._on_served,
            on_empty=self._on_empty,
        )
        self._slow_calls = SlowCalls(self._service, totals=bool(config.status_socket))
        self._deadlines = Deadlines(self._loop, self._service.connections)
        self._room = Room(self._service.connections, config.worker_connections)
        self._acceptors = [
            Acceptor(listener, self._service, self._room) for listener in self._listeners
        ]
        self._tick_parts: tuple[tuple[Place, Callable[[], None]], ...] = (
            (_SIGNALS, self._take_signals),
            (_COUNTERS, self._fold),
            (_DEADLINES, self._deadlines.sweep),
            (_DRAINING, self._go_on_draining),
            (_ACCEPTING, self._accept),
            (_PUBLISHING, self._publish_held),
            (_RECYCLING, self._see_to_recycling),
            (_OVERLOAD, lambda: self._service.overload.report(self._loop.now)),
            (_ROOM, lambda: self._room.report(self._loop.now)),
            (_SHORTAGE, self._report_shortage),
            (_HUNG, self._time_out),
            (_SILENCE, self._watch_for_silence),
            (_STREAMS, streams.restore),
            (_LOG_ROUTE, self._log_route.tend),
            (_LOST, self._answer_lost),
        )
        self._failures = guard.total()
        self._suspects: set[Connection] = set()
        self._is_assembled = True

    def _choose_on_turn(self, access_log: AccessLog | None) -> Callable[[], float]:
        """Return what is to be done each turn of the loop, and nothing beside it."""
        counters, loop, log_route = self._counters, self._loop, self._log_route
        if counters is None and access_log is None:
            return loop.on_turn
        # The only thread may be kept by its next call, and the lines with it.
        interval = 0.0 if self._config.threads == 1 else LOG_INTERVAL
        due = 0.0

        def on_turn() -> float:
            nonlocal due
            now = loop.now
            if counters and now >= counters.due:
                try:
                    counters.fold(now)
                except BaseException as error:
                    _COUNTERS.note(error)
            if not (access_log and access_log.waiting) and not log_route.is_waiting:
                return FOR_EVER
            if now < due:
                return due - now
            due = now + interval
            try:
                if access_log:
                    access_log.flush()
                log_route.send()
            except BaseException as error:
                _LINES.note(error)
            return LOG_INTERVAL if log_route.is_waiting else FOR_EVER

        return on_turn

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        # What there is by now is there to stay. Each full collection would look at all of it, and
        # every request would wait for that.
        gc.collect()
        gc.freeze()
        self._room.reserve()
        bear_strays()
        self._loop.watch_signals(*TAKEN)
        if self._loading:
            self._loading.close()
        for acceptor in self._acceptors:
            acceptor.resume()
        self._held += self._listeners
        self._publish()
        self._watch_for_silence()
        if self._crew.is_alone and self._config.timeout:
            threading.Thread(target=self._watch_only_thread, name="watch", daemon=True).start()
        self._run_crew()
        faulthandler.cancel_dump_traceback_later()
        self._settle()
        self._loop.close()
        self._say_goodbye()
        # None of threading's: the application may have set a trace function for those.
        start_new_thread(self._bound_exit, ())
        return self._exit_code

    def _run_crew(self) -> None:
        """Have the crew work beside the main thread, which alone may change what signals do.

        So no call of the application can take them away for good: neither asyncio's loops, which
        have handlers of their own, nor whoever sets one. Python runs the handlers of signals in
        the main thread, in the middle of whatever that is doing, and an application's may raise
        there. A lone thread is the main one, for applications that are bound to it, and takes the
        signals back at each tick.
        """
        if self._crew.is_alone:
            self._work()
            return
        ended = threading.Event()
        threading.Thread(target=self._work, args=(ended,), name="crew-0", daemon=True).start()
        while not ended.is_set():
            try:
                # Not Thread.join(), which takes a thread for ended where a handler raises.
                while not ended.wait(SIGNALS_INTERVAL):
                    self._loop.watch_signals(*TAKEN)  # faulthandler and C code take them anywhere
            except BaseException as error:
                _MAIN.note(error)

    def _work(self, ended: threading.Event | None = None) -> None:
        over = False
        while not over:
            try:
                self._crew.run()
                over = True
            except LoopError as error:
                over = True
                self._exit_code = EXIT_CUT_SHORT
                event(logging.CRITICAL, "internal_error", "The server cannot go on", error)
            except BaseException as error:
                _MAIN.note(error)
        if ended is not None:
            ended.set()

    def _say_goodbye(self) -> None:
        event(logging.INFO, "stopped", "Stopped", pid=os.getpid())
        event_log.settle()
        streams.flush()

    def _let_go(self) -> None:
        """Close in a forked process what is the server's; the paths stay the worker's."""
        for listener in self._listeners:
            listener.socket.close()
        if self._pid_file:
            self._pid_file.close()
        if self._status_socket:
            self._status_socket.let_go()
        if self._is_assembled:  # else the application forks while it is loaded
            self._service.is_forked = True
            self._loop.let_go()
            for connection in self._service.connections:
                connection.let_go()

    def _bound_exit(self) -> None:
        """End a process whose every request was served, but that something else keeps.

        The interpreter waits at its end for threads and processes that the application started
        (``threading``, ``multiprocessing``), however long they go on.
        """
        try:
            time.sleep(max(SHORTEST_EXIT, self._drain_ends - time.monotonic()))
            event(
                logging.WARNING,
                "exit_forced",
                "Every request was served, but threads or processes of the application would not "
                f"end within --graceful-timeout {self._config.graceful_timeout:g} s",
            )
            streams.flush()
        finally:
            os._exit(self._exit_code)

    def _publish(self) -> None:
        """Let clients in, where nobody holds it back."""
        on_hold = self._config.hold and os.path.exists(self._config.hold)
        held = [each for each in self._held if on_hold and each.has_rival()]
        if not held:
            self._tell_status()
            if self._pid_file:
                self._pid_file.write()
        for listener in self._held:
            if listener in held:
                continue
            listener.publish()
            event(
                logging.INFO,
                "listening",
                f"Serving {self._config.application} on {listener.url}",
                pid=os.getpid(),
                threads=self._config.threads,
            )
        self._held = held
        if not held:
            systemd.tell_ready()

    def _tell_status(self) -> None:
        """Answer, from now on, who asks what the process is doing."""
        if self._status_socket is None:
            return
        errors = RecentErrors()
        errors.addFilter(RequestIds())
        logging.getLogger().addHandler(errors)
        event_log.add_listener(errors.note)
        status = Status(self._service, errors, self._slow_calls)
        self._status_socket.publish(status.document, self._slow_calls.look)

    # --- stopping ------------------------------------------------------------------------------

    def _drain(self, stop: Stop, reason: str) -> None:
        """Accept no more, finish what is in flight, and end."""
        service = self._service
        if not service.draining:
            # First, because the process ends once it drains and nobody is left; who waits in the
            # backlog is somebody.
            for acceptor in self._acceptors:
                try:
                    acceptor.close()
                except BaseException as error:
                    _DRAIN.note(error)
            service.drain()
            self._drain_ends = self._loop.now + self._config.graceful_timeout
            event(
                logging.INFO,
                "draining",
                f"Stopping ({reason}): {len(self._in_flight())} requests in flight, "
                f"{len(service.connections)} connections open",
                pid=os.getpid(),
            )
        if stop is Stop.QUICK:
            self._stop = stop
            self._close_idle()
        self._on_empty()

    def _close_idle(self) -> None:
        for connection in list(self._service.connections):
            if connection.is_idle:
                connection.close()

    def _on_empty(self) -> None:
        if self._service.draining and not self._service.connections:
            self._crew.stop()
            if self._hung_calls.count():
                self._leave_at_once()

    def _cut_short(self) -> None:
        """The time for draining is up: end, whatever is still in flight."""
        names = self._in_flight()
        if names:
            self._exit_code = EXIT_CUT_SHORT
            event(
                logging.ERROR,
                "cut_short",
                f"{len(names)} requests were not finished within --graceful-timeout "
                f"{self._config.graceful_timeout:g} s: {', '.join(names[:10])}",
            )
        self._leave_at_once()

    def _leave_at_once(self) -> NoReturn:
        """End though a thread hangs in the application.

        It may be the main thread, and it may hold any lock of the interpreter's shutdown.
        """
        try:
            self._settle()
            self._say_goodbye()
        finally:
            os._exit(self._exit_code)

    def _settle(self) -> None:
        """Leave nothing behind that is half done."""
        for part in (
            *(self._flush, self._log_route.settle, self._fold),
            *(self._withdraw_status, self._remove_pid_file),
        ):
            try:
                part()
            except BaseException as error:
                _END.note(error)

    def _flush(self) -> None:
        if self._service.access_log:
            self._service.access_log.flush()

    def _fold(self) -> None:
        if self._counters:
            self._counters.fold(self._loop.now)

    def _withdraw_status(self) -> None:
        if self._status_socket:
            self._status_socket.withdraw()

    def _remove_pid_file(self) -> None:
        if self._pid_file:
            self._pid_file.remove()

    def _in_flight(self) -> list[str]:
        requests = [each.request for each in list(self._service.connections)]
        return [_request_line(each) for each in requests if each]

    # --- what the loop calls -------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGTERM:
            self._drain(Stop.GRACEFUL, "SIGTERM")
        elif number == signal.SIGINT:
            self._drain(Stop.QUICK, "SIGINT")
        elif number == signal.SIGUSR1:
            self._reopen_logs()
        elif not is_stray(number):
            pass
        elif number == signal.SIGHUP:
            self._drain(Stop.GRACEFUL, "SIGHUP")
        elif number == signal.SIGQUIT:
            self._drain(Stop.QUICK, "SIGQUIT")
        else:
            event(
                logging.WARNING,
                "stray_signal",
                f"{signal.Signals(number).name} came, which nothing handles and which would have "
                "ended the process; a timer of the application (signal.setitimer) may send it",
            )

    def _reopen_logs(self) -> None:
        try:
            if self._service.access_log:
                self._service.access_log.reopen()
            if self._config.error_logfile != "-":
                streams.lead(streams.STDERR, self._config.error_logfile)
        except OSError as error:
            event(logging.ERROR, "log_not_reopened", f"cannot reopen the log: {error}")

    def _on_served(self, count: int) -> None:
        if count == self._request_limit:
            reason = f"--max-requests {self._request_limit}"
            self._loop.call_soon(lambda: self._recycle(reason))

    def _on_tick(self) -> None:
        """Do each part, whatever becomes of those before it."""
        for place, part in self._tick_parts:
            try:
                part()
            except BaseException as error:
                place.note(error)

    def _take_signals(self) -> None:
        if self._crew.is_alone:
            self._loop.watch_signals(*TAKEN)

    def _go_on_draining(self) -> None:
        if self._service.draining:
            if self._stop is Stop.QUICK:  # some were not idle yet when the signal came
                self._close_idle()
            if self._loop.now >= self._drain_ends:
                self._cut_short()

    def _accept(self) -> None:
        if not self._service.draining:
            for acceptor in self._acceptors:
                acceptor.resume()

    def _publish_held(self) -> None:
        if self._held and not self._service.draining:
            self._publish()

    def _see_to_recycling(self) -> None:
        if self._service.draining:
            return
        if self._recycle_reason:
            self._recycle(self._recycle_reason)
        elif excess := self._memory_limit.excess(self._loop.now):
            self._report_excess(excess)

    def _time_out(self) -> None:
        if self._config.timeout:
            self._hung_calls.time_out(self._service)
            self._heed_hung_calls()

    def _answer_lost(self) -> None:
        """Answer requests that have no thread any more, because something has failed.

        A thread may be about to hand its request back, so each is looked at in two ticks.
        """
        failures = guard.total()
        if failures == self._failures and not self._suspects:
            return
        self._failures = failures
        tasks = self._crew.tasks()
        found = {each for each in connections(self._service) if each.is_stuck and each not in tasks}
        for connection in found & self._suspects:
            connection.give_up()
        self._suspects = found - self._suspects

    def _report_excess(self, size: int) -> None:
        """The process has grown to so many bytes: have another one take its place."""
        limit = self._config.max_memory
        event(
            logging.WARNING,
            "max_memory",
            f"{size} bytes of memory are resident, and --max-memory is {limit}",
            resident=size,
            limit=limit,
        )
        self._recycle(f"--max-memory {limit}")

    def _recycle(self, reason: str) -> None:
        """Drain, or ask now and then to be replaced, where somebody sees to that."""
        if not self._config.recycle_wait:
            self._drain(Stop.GRACEFUL, reason)
            return
        self._recycle_reason = self._recycle_reason or reason
        if (now := time.monotonic()) >= self._recycle_at:
            self._recycle_at = now + self._config.recycle_wait
            event(
                logging.INFO,
                "recycle",
                f"To be replaced ({self._recycle_reason}); it serves until then",
                pid=os.getpid(),
            )

    def _report_shortage(self) -> None:
        reason, self._crew.shortage = self._crew.shortage, ""
        if reason:
            event(
                logging.ERROR,
                "thread_not_started",
                f"No thread can be started in the place of one that is held ({reason}): allow this "
                "process more threads (ulimit -u, the container's pids limit) or memory",
            )

    # --- slow and hung calls -------------------------------------------------------------------

    def _on_slow_call(self, call: Call) -> None:
        try:
            if self._counters:
                self._counters.add(SLOW_CALLS)
            self._slow_calls.on_slow(call)
        except BaseException as error:
            _SLOW.note(error)

    def _heed_hung_calls(self) -> None:
        """Have another process take this one's place while all its places are still there.

        By now as many threads hang as may be replaced, and the next call that hangs costs a place.
        """
        hung = self._hung_calls.count()
        if hung >= self._config.threads and not self._service.draining:
            self._exit_code = EXIT_CUT_SHORT
            self._recycle(f"{hung} calls of the application hang")

    def _watch_only_thread(self) -> None:
        """End the process, by a thread of its own, once its only other one hangs."""
        while True:
            try:
                self._hung_calls.wait_for_only_thread(self._service, self._watch_for_silence)
                break
            except BaseException as error:
                _WATCH.note(error)
                time.sleep(LONGEST_TICK)
        self._exit_code = EXIT_CUT_SHORT
        self._leave_at_once()

    def _watch_for_silence(self) -> None:
        """End the process if no tick follows: the interpreter lock is stuck, or what not.

        faulthandler's own thread needs neither; it writes every thread's stack to standard error,
        as it was when the process started.
        """
        if self._config.timeout:
            # Later than whoever else looks after the deadline, since the last tick may be one ago.
            faulthandler.dump_traceback_later(
                self._config.timeout + LONGEST_TICK + _tick(self._config),
                exit=True,
                file=streams.own(streams.STDERR).descriptor,
            )


def _tell_failure(failure: Failure) -> None:
    event(
        logging.CRITICAL,
        "internal_error",
        failure.meaning,
        failure.error,
        place=failure.place,
        kept_back=failure.kept_back,
    )


def _request_line(request: Request) -> str:
    return f"{request.method} {request.target}"


def _tick(config: Config) -> float:
    deadlines = [config.keep_alive, config.head_timeout, config.body_timeout, config.write_timeout]
    optional = (config.timeout, config.graceful_timeout, config.max_stream_duration)
    deadlines += [each for each in optional if each]
    return max(SHORTEST_TICK, min(LONGEST_TICK, min(deadlines) / 4))
