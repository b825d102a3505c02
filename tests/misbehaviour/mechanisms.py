"""What bears each misbehaviour in our own server, and how it is taken out of a copy of it.

A file that passes with its mechanism taken out shows nothing. ``tests/misbehaviour/run --prove``
runs each so, and fails where one passes.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.misbehaviour.drive import ROOT, Ours

# What bears the end of a worker is no code of the server's.
REPLACEMENT: Final = "replacement"


@dataclass(frozen=True, slots=True)
class Edit:
    """Some text of a file of the server's package, and what stands there without the mechanism."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mechanism:
    """What it does, in a sentence, and the edits that take it out."""

    meaning: str
    edits: tuple[Edit, ...]


# A thread of the crew ends where something is raised in it.
_NO_RECOVERY: Final = (
    Edit("engine/crew.py", "                failure = error\n", "                raise\n"),
    Edit(
        "engine/crew.py",
        "                return  # stopped, or wanted no more\n"
        "            except BaseException as error:\n"
        "                _THREAD.note(error)\n",
        "                return\n            finally:\n                pass\n",
    ),
)

# What fails in a turn of the loop ends it.
_FRAGILE_TURN: Final = Edit(
    "engine/loop.py",
    "            _TURN.note(error)\n",
    "            raise LoopError('a turn failed') from error\n",
)
# The main thread is one of the crew's.
_MAIN_SERVES: Final = Edit(
    "worker.py",
    "        if self._crew.is_alone:\n            self._work()\n",
    "        if True:\n            self._work()\n",
)

MECHANISMS: Final[dict[str, Mechanism]] = {
    "exceptions": Mechanism(
        "Whatever a call raises is logged and answered, BaseException too.",
        (
            Edit(
                "wsgi/gateway.py",
                "        except BaseException as error:  # SystemExit too: it must not end the process\n"
                "            self._fail(error)\n",
                "",
            ),
            Edit(
                "engine/connection.py",
                "        except BaseException as error:  # not the application's: those are answered\n"
                "            _CONNECTION.note(error)\n"
                "            exchange.ending = Ending.ABORT\n",
                "        finally:\n            pass\n",
            ),
            *_NO_RECOVERY,
        ),
    ),
    "spare_main_thread": Mechanism(
        "The main thread serves nobody: what a signal's handler raises there hits nobody, and no "
        "call can have signals handled otherwise.",
        (
            _MAIN_SERVES,
            Edit(
                "worker.py",
                "                _MAIN.note(error)\n        if ended is not None:\n",
                "                raise\n        if ended is not None:\n",
            ),
            *_NO_RECOVERY,
            _FRAGILE_TURN,
        ),
    ),
    "own_log": Mechanism(
        "Events, tracebacks and wsgi.errors are written before logging has a say.",
        (
            Edit(
                "told/event_log.py",
                '        record = OwnRecord(LOGGER.name, level, __file__, 0, message, (), info, "event")\n'
                "        vars(record).update(event=name, **details)\n"
                "        _told.write(record)\n"
                "        _told.pass_on(record)\n",
                "        extra = {'event': name, **details}\n"
                "        logging.getLogger('bascule.server').log(level, message, exc_info=info, extra=extra)\n",
            ),
            Edit(
                "told/event_log.py",
                "            logger.__class__ = OwnLogger\n",
                "            pass\n",
            ),
            Edit(
                "told/event_log.py",
                "        if isinstance(record, OwnRecord):\n            return False\n        passed",
                "        passed",
            ),
        ),
    ),
    "events_do_not_wait": Mechanism(
        "The application's log handlers hear of events later, on a thread of their own.",
        (
            Edit(
                "told/event_log.py",
                "        _told.pass_on(record)\n    except Exception as failure:\n        _LOG.note(failure)\n",
                "        logging.Logger.handle(LOGGER, record)\n    finally:\n        pass\n",
            ),
        ),
    ),
    "fallback_of_formatting": Mechanism(
        "A record that cannot be formatted is written without what could not be.",
        (
            Edit(
                "told/event_log.py",
                "            line = self.formatter.format(_in_place_of(record, error))\n",
                "            raise error\n",
            ),
        ),
    ),
    "tracebacks_without_print": Mechanism(
        "Tracebacks are formatted, not printed.",
        (
            Edit(
                "told/event_log.py",
                '        return "".join(format_exception(*ei)).rstrip("\\n")\n',
                "        return super().formatException(ei)\n",
            ),
            Edit(
                "told/event_log.py",
                "        except Exception:  # or ``open``, by which it finds the lines\n",
                "        except ZeroDivisionError:\n",
            ),
        ),
    ),
    "lenient_encoding": Mechanism(
        "What the log's encoding lacks is written as an escape.",
        (
            Edit(
                "streams.py",
                'text.encode("utf-8", "backslashreplace")',
                'text.encode("ascii", "strict")',
            ),
        ),
    ),
    "own_stderr": Mechanism(
        "The log goes to a descriptor of the server's own, and not to sys.stderr.",
        (
            Edit(
                "told/event_log.py",
                "stream or streams.own(streams.STDERR)\n",
                "stream or __import__('sys').stderr\n",
            ),
        ),
    ),
    "own_descriptors": Mechanism(
        "What the server writes to are duplicates of the descriptors 1 and 2.",
        (
            Edit(
                "streams.py",
                "Output(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, STDERR + 1))",
                "Output(number)",
            ),
        ),
    ),
    "own_stdout": Mechanism(
        "The access log asks nobody for sys.stdout.",
        (
            Edit(
                "told/access_log.py",
                "standard or streams.own(streams.STDOUT)",
                "standard or streams.Output(__import__('sys').stdout.fileno())",
            ),
        ),
    ),
    "own_stream_of_the_watch": Mechanism(
        "The watch over silence does not ask sys.stderr for its descriptor, and a part of a tick "
        "that fails is one part.",
        (
            Edit("worker.py", "                file=streams.own(streams.STDERR).descriptor,\n", ""),
            Edit("worker.py", "                place.note(error)\n", "                raise\n"),
            Edit(
                "engine/loop.py",
                "                    _TICK.note(error)\n",
                "                    raise\n",
            ),
            _FRAGILE_TURN,
        ),
    ),
    "lenient_flush": Mechanism(
        "What cannot be flushed at the end is given up.",
        (
            Edit(
                "streams.py",
                "        except BaseException:  # an application may have put anything there\n"
                "            setattr(sys, name, None)\n",
                "        finally:\n            pass\n",
            ),
        ),
    ),
    "renewed_watch": Mechanism(
        "faulthandler's only timer is armed anew at each tick.",
        (Edit("worker.py", "            (_SILENCE, self._watch_for_silence),\n", ""),),
    ),
    "patient_watch": Mechanism(
        "The watch over silence waits for --timeout.",
        (
            Edit("worker.py", "LONGEST_TICK: Final = 0.5\n", "LONGEST_TICK: Final = 0.05\n"),
            Edit(
                "worker.py",
                "                self._config.timeout + LONGEST_TICK + _tick(self._config),\n",
                "                0.15,\n",
            ),
        ),
    ),
    "watch": Mechanism(
        "The process is ended where nothing in Python runs any more.",
        (
            Edit(
                "worker.py",
                "            faulthandler.dump_traceback_later(\n",
                "            (lambda *_, **__: None)(\n",
            ),
        ),
    ),
    "clocks": Mechanism(
        "The loop's clock is monotonic, and was taken from the time module before the application "
        "could replace it.",
        (
            Edit(
                "engine/loop.py",
                "from time import monotonic\n",
                "import time\n\nmonotonic = lambda: time.monotonic()\n",
            ),
        ),
    ),
    "monotonic_clock": Mechanism(
        "Deadlines are on the monotonic clock.",
        (
            Edit(
                "engine/loop.py",
                "from time import monotonic\n",
                "import time\n\nmonotonic = lambda: time.time()\n",
            ),
        ),
    ),
    "wakeup_pipe": Mechanism(
        "The server takes its signals, whoever had them.",
        (
            Edit(
                "engine/loop.py",
                "        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)\n"
                "        for number in numbers:\n"
                "            if number != signal.SIGINT or not self._is_interrupted:\n",
                "        for number in numbers:\n"
                "            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):\n",
            ),
        ),
    ),
    "no_sigpipe": Mechanism(
        "SIGPIPE is ignored again once the application is loaded.",
        (
            Edit(
                "engine/signals.py",
                "        signal.signal(signal.SIGPIPE, signal.SIG_IGN)\n",
                "        pass\n",
            ),
        ),
    ),
    "strays": Mechanism(
        "Signals that nobody handles end nothing.",
        (
            Edit(
                "engine/signals.py",
                "            signal.signal(number, _note_stray)\n",
                "            pass\n",
            ),
        ),
    ),
    "replaced_threads": Mechanism(
        "A thread that hangs is replaced; the process ends where as many hang as there are threads.",
        (
            Edit(
                "worker.py",
                "        if hung >= self._config.threads and",
                "        if 2 * hung >= self._config.threads and",
            ),
        ),
    ),
    "places_for_others": Mechanism(
        "Long calls leave a place, and where they hold all a further one opens for other kinds.",
        (
            Edit(
                "engine/places.py",
                "            is_further = are_old and 0 < places == len(live)\n",
                "            is_further = False\n",
            ),
            Edit("engine/places.py", "long < max(1, places - 1)", "long < places"),
        ),
    ),
    "progress": Mechanism(
        "The time of a call begins anew with each piece of a stream.",
        (
            Edit(
                "wsgi/gateway.py",
                "        self.progressed = time.monotonic()\n        _check_chunk(data)\n",
                "        _check_chunk(data)\n",
            ),
        ),
    ),
    "only_the_worker_answers": Mechanism(
        "In a forked process the server's descriptors are closed, and the call ends there.",
        (
            Edit(
                "engine/forks.py",
                "        self._let_go()\n        self._unmask()\n",
                "        self._unmask()\n",
            ),
        ),
    ),
    "silent_forks": Mechanism(
        "A forked process does not say a word to the poller, which it shares.",
        (
            Edit(
                "engine/loop.py",
                "        self._asleep = False\n        self._epoll.close()\n",
                "        for each in self._handlers:\n"
                "            self._epoll.unregister(each)\n"
                "        self._epoll.close()\n",
            ),
        ),
    ),
    "signals_of_children": Mechanism(
        "A signal to a child is its own.",
        (Edit("engine/forks.py", "        signals.restore()\n", ""),),
    ),
    "unblocked_signals": Mechanism(
        "The main thread has the server's signals unblocked.",
        (
            Edit(
                "engine/loop.py",
                "        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)\n",
                "",
            ),
        ),
    ),
    "bounded_exit": Mechanism(
        "The interpreter's end is bounded by --graceful-timeout.",
        (
            Edit(
                "worker.py",
                "        start_new_thread(self._bound_exit, ())\n",
                "",
            ),
        ),
    ),
    "untraced_exit": Mechanism(
        "What bounds the end is no thread that the application could trace.",
        (
            Edit(
                "worker.py",
                "        start_new_thread(self._bound_exit, ())\n",
                "        threading.Thread(target=self._bound_exit, daemon=True).start()\n",
            ),
        ),
    ),
    "epoll": Mechanism(
        "The poller takes descriptors beyond what select(2) can.",
        (
            Edit(
                "engine/loop.py",
                "        self._epoll.register(descriptor, events)\n",
                "        if descriptor >= 1024:\n"
                "            raise ValueError('filedescriptor out of range in select()')\n"
                "        self._epoll.register(descriptor, events)\n",
            ),
        ),
    ),
    "exhausted_descriptors": Mechanism(
        "Where no descriptor is left, clients wait in the backlog.",
        (
            Edit(
                "engine/accept.py",
                "        except OSError as error:\n            if error.errno in _GONE:\n",
                "        except ConnectionAbortedError as error:\n"
                "            if error.errno in _GONE:\n",
            ),
            Edit(
                "engine/accept.py",
                "            _ACCEPT.note(error)\n            self._rest()\n",
                "            raise\n",
            ),
            Edit("engine/loop.py", "        _HANDLER.note(error)\n", "        raise error\n"),
            _FRAGILE_TURN,
        ),
    ),
    "bodies_first": Mechanism(
        "A body is read before the application is called, whether it reads it or not.",
        (
            Edit(
                "engine/connection.py",
                "            if request.content_length or request.chunked:\n",
                "            if False:\n",
            ),
            Edit(
                "engine/connection.py",
                "        elif request is None or request.keep_alive or self._reader.rest:\n",
                "        elif False:\n",
            ),
        ),
    ),
    "own_blocking": Mechanism(
        "An accepted socket does not wait, whatever the default for sockets is.",
        (Edit("engine/accept.py", "        sock.setblocking(False)\n", ""),),
    ),
    "socket_of_c": Mechanism(
        "Connections are sockets of the module in C, which is not what is patched.",
        (
            Edit(
                "engine/accept.py",
                "socket.SocketType(*self._kind, descriptor)",
                "socket.socket(*self._kind, descriptor)",
            ),
        ),
    ),
    "explicit_close": Mechanism(
        "A stream is closed, whatever ends it (PEP 3333).",
        (
            Edit(
                "wsgi/gateway.py",
                "                if close is not None:\n                    close()\n        except ClientDisconnected:\n",
                "                if close is not None:\n                    pass\n        except ClientDisconnected:\n",
            ),
        ),
    ),
    "true_sizes": Mechanism(
        "A file whose size may lie is read.",
        (
            Edit(
                "wsgi/file_wrapper.py",
                "    return size if ends_there else None\n",
                "    return size\n",
            ),
            Edit(
                "wsgi/file_wrapper.py",
                "    except OSError:  # the size is 0, the file is open for writing only or with O_DIRECT\n        return None\n",
                "    except OSError:\n        return size\n",
            ),
        ),
    ),
    "offsets": Mechanism(
        "A file is sent from where reading it would go on.",
        (
            Edit(
                "wsgi/file_wrapper.py",
                "        offset = filelike.tell()\n        if raw.tell() != offset:",
                "        offset = raw.tell()\n        if raw.tell() != offset:",
            ),
        ),
    ),
    "only_files": Mechanism(
        "Only what is a regular file, and nothing else, is sent by the kernel.",
        (
            Edit(
                "wsgi/file_wrapper.py",
                "        if type(raw) is not io.FileIO or not _reads_as_its_class(filelike, raw):\n            return None\n",
                "        raw = filelike\n",
            ),
        ),
    ),
    "files_that_end_early": Mechanism(
        "A response is cut short where its file has become shorter.",
        (
            Edit(
                "engine/outgoing.py",
                "        if taken == 0:\n            self.missing = file.count\n",
                "        if taken < 0:\n            self.missing = file.count\n",
            ),
        ),
    ),
    "no_late_imports": Mechanism(
        "What the server needs is imported when it starts.",
        (
            Edit(
                "told/event_log.py",
                "    info = None if error is None else",
                "    import json\n\n    info = None if error is None else",
            ),
        ),
    ),
}


@contextlib.contextmanager
def without(name: str) -> Iterator[Ours]:
    """Give our own server without a mechanism."""
    if name == REPLACEMENT:
        yield Ours(restarts=False)
        return
    with tempfile.TemporaryDirectory(prefix="without-") as directory:
        code = Path(directory)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "server" / "bascule", code / "bascule", ignore=ignored)
        for edit in MECHANISMS[name].edits:
            file = code / "bascule" / edit.file
            text = file.read_text()
            if text.count(edit.old) != 1:
                raise ValueError(f"{name}: {edit.file} does not have once: {edit.old}")
            file.write_text(text.replace(edit.old, edit.new))
        yield Ours(code)
