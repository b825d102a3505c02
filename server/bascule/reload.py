"""``--reload``: the application is started anew whenever one of its files is saved.

This process listens and never loads the application. One that it forks loads and serves it, looks
at the files of all modules that are loaded by then and at the project's templates, and ends once
one of them has changed; then the next is forked. Connections wait in the sockets meanwhile, so
nobody is refused.

An application that cannot be loaded is stood in for: its clients get 500, and those on this machine
learn why. The terminal says the same, and the next file that is saved ends that too.

A debugger may hold a call, so no call is too long, and nothing but a save or a signal ends it all.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from traceback import walk_tb
from types import ModuleType
from typing import TYPE_CHECKING, Final

from bascule import streams
from bascule.config import Config
from bascule.development import report, shown
from bascule.development.templates import Templates
from bascule.engine.listen import Listener, open_listener
from bascule.errors import LoadError
from bascule.guard import Place
from bascule.pid_file import PidFile
from bascule.worker import Worker
from bascule.wsgi.load import check_library, load_application

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# How often it looks at the files (seconds), and how long requests in flight have, at its end too.
INTERVAL: Final = 0.2
GRACE: Final = 1.0
# The clock of a file system may be late by so much (nanoseconds).
CLOCK_STEP: Final = 20_000_000

_LOOK: Final = Place("reload", "Whether a file has changed was not seen; the next look does")

_TAKEN: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_UNLIMITED: Final = {"timeout": 0.0, "max_requests": 0, "max_memory": 0}

# A file's: when it was saved, its size and its inode; all 0 where it is not there.
_State = tuple[int, int, int]


def run(
    config: Config, dressed: Callable[[WSGIApplication], WSGIApplication] = lambda given: given
) -> int:
    """Serve until told to stop; return the exit code, of each process that returns from it.

    Args:
        config: the settings.
        dressed: gives what is served for the application that was loaded.

    Raises:
        StartError: a socket or the file of ``--pid`` is not to be had.
    """
    pid_file = PidFile(config.pid) if config.pid else None
    listeners = _listeners(config)
    if pid_file:
        pid_file.write()
    overseer = _Overseer()
    while overseer.is_to_go_on():
        if overseer.fork():
            config = Config(**(vars(config) | _UNLIMITED | {"pid": ""}))
            return _serve(config, [each.shared() for each in listeners], overseer, dressed)
        overseer.wait()
    for listener in listeners:
        listener.withdraw()
        listener.socket.close()
    if pid_file:
        pid_file.remove()
    return overseer.code


def _listeners(config: Config) -> list[Listener]:
    listeners = []
    with contextlib.ExitStack() as opened:
        for address in config.bind:
            listeners.append(open_listener(address, config.backlog, beside=config.bind))
            opened.callback(listeners[-1].withdraw)
        for listener in listeners:
            listener.publish()
        opened.pop_all()
    return listeners


class _Overseer:
    """Forks one process after another, and passes signals on.

    Attributes:
        code: the exit code of the last.
    """

    def __init__(self) -> None:
        self.code = 0
        self._pid = os.getpid()
        self._child = 0
        self._is_stopping = False
        self._has_changed = True
        self._reader = self._writer = -1
        self._terminal = termios.tcgetattr(streams.STDIN) if _is_on_a_terminal() else None
        for number in _TAKEN:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def is_to_go_on(self) -> bool:
        """Whether the last one ended because of a file, and nobody wishes the end."""
        return self._has_changed and not self._is_stopping

    def fork(self) -> bool:
        """Return whether this is the new process."""
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        # One that comes meanwhile is for both to act upon.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
        self._child = os.fork()
        if self._child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TAKEN)
        return self._child == 0

    def wait(self) -> None:
        """Wait for the end of the one that was forked."""
        os.close(self._writer)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        if self._terminal and _is_on_a_terminal():  # a debugger's prompt may have changed it
            termios.tcsetattr(streams.STDIN, termios.TCSANOW, self._terminal)
        code = os.waitstatus_to_exitcode(status)
        # While it loaded, or while a call went on.
        is_stopped = self._is_stopping and code in (-signal.SIGTERM, -signal.SIGKILL)
        self.code = 0 if is_stopped else code if code >= 0 else 128 - code
        self._has_changed = bool(os.read(self._reader, 1))
        os.close(self._reader)

    def start_another(self) -> None:
        """Say that a file has changed; in the process that was forked."""
        os.write(self._writer, b"\n")

    def is_gone(self) -> bool:
        """Whether the process that forked this one is no more."""
        return os.getppid() != self._pid

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGUSR1:
            self._is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, GRACE)
        # A terminal sends Ctrl-C to both.
        if self._child and not (number == signal.SIGINT and _is_on_a_terminal()):
            os.kill(self._child, number)

    def _on_alarm(self, _number: int, _frame: object) -> None:
        if self._child:
            os.kill(self._child, signal.SIGKILL)


def _is_on_a_terminal() -> bool:
    try:
        return os.tcgetpgrp(streams.STDIN) == os.getpgrp()
    except OSError:
        return False


def _serve(
    config: Config,
    listeners: list[Listener],
    overseer: _Overseer,
    dressed: Callable[[WSGIApplication], WSGIApplication],
) -> int:
    watch = _Watch(overseer, _extra_files(config))
    watch.start()
    try:
        application = load_application(config.application, config.pythonpath)
        check_library(config.application)
        application = shown.Errors(dressed(application))
    except LoadError as error:
        watch.files.add(_files_of(error))
        watch.files.add_directories()
        traces = report.text(shown.causes(error))
        streams.own(streams.STDERR).write(f"{traces}\nbascule: {error}\n".lstrip("\n"))
        application = shown.stand_in(error)
    # What is saved from now on is noticed, however soon.
    watch.look()
    watch.files.is_loaded = True
    worker = Worker(config, application, listeners)
    watch.is_serving = True
    return worker.run()


class _Watch:
    """Ends this process once a file has changed.

    Args:
        overseer: of the process that forked this one.
        extra: files to look at beside those of modules.

    Attributes:
        is_serving: whether there may be requests to be finished.
        files: those that it looks at.
    """

    def __init__(self, overseer: _Overseer, extra: Iterable[str]) -> None:
        self.is_serving = False
        self.files = Files(extra)
        self._overseer = overseer
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look again and again, in a thread."""
        threading.Thread(target=self._run, name="reload", daemon=True).start()

    def look(self) -> None:
        """Look once."""
        with self._lock:
            if changed := self.files.changed():
                shown = os.path.relpath(changed[0])
                streams.own(streams.STDERR).write(f"bascule: {shown} has changed: once more\n")
                self._overseer.start_another()
                self._end()

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL)
            try:
                if self._overseer.is_gone():
                    self._end()
                self.look()
            except BaseException as error:
                _LOOK.note(error)

    def _end(self) -> None:
        if self.is_serving:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(INTERVAL)  # who has connected just now asks for something
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(GRACE)
        os._exit(0)


class Files:
    """Which of the files that an application consists of have changed since the last look.

    Args:
        extra: some beside those of the modules that are loaded.

    Attributes:
        is_loaded: whether the application is.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        self.is_loaded = False
        self._extra = set(extra)
        self._templates = Templates(os.getcwd())
        self._looked = 0
        self._seen: dict[str, _State] = {}

    def add(self, paths: Iterable[str]) -> None:
        """Look at these as well."""
        self._extra.update(paths)

    def add_directories(self) -> None:
        """Look for files that are new as well, where the project has some."""
        here = os.getcwd()
        known = [os.path.dirname(each) for each in self._paths()]
        self.add([here, *(each for each in known if each.startswith(here + os.sep))])

    def changed(self) -> list[str]:
        """Return them; while it is loaded, one that is new is none of them.

        What was compiled of them is removed: that is known by the second in which a file was saved,
        and its size.
        """
        found = []
        before, self._looked = self._looked, time.time_ns()
        for path in sorted(set(self._paths())):
            state = _state(path)
            # One that was imported since may have been saved since, too.
            is_fresh = self.is_loaded and before - CLOCK_STEP < state[0] <= self._looked
            if self._seen[path] != state if path in self._seen else is_fresh:
                found.append(path)
                if path.endswith(".py"):
                    with contextlib.suppress(OSError):
                        os.unlink(importlib.util.cache_from_source(path))
            self._seen[path] = state
        return found

    def _paths(self) -> Iterator[str]:
        yield from self._extra
        yield from self._templates.paths()
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType):
                path = vars(module).get("__file__")
                if isinstance(path, str):
                    yield path


def _state(path: str) -> _State:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _extra_files(config: Config) -> list[str]:
    chain = os.environ.get("BASCULE_CHAIN")
    return [*config.reload_extra_file, *([os.path.abspath(chain)] if chain else [])]


def _files_of(error: BaseException) -> Iterator[str]:
    """Yield the files in which an error arose, and what it arose from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SyntaxError) and cause.filename:
            yield cause.filename
        yield from (frame.f_code.co_filename for frame, _ in walk_tb(cause.__traceback__))
        cause = cause.__cause__ or cause.__context__
