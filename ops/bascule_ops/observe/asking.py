"""Asking many at the same time, none of whom can make the asker wait.

A part that hangs is the very thing that an operator looks for, so every question has an end:
a reader here gives up at a deadline, whatever trickles in, and `ask_all` returns without
whoever is still at it, such as a name server or a disk that no time limit reaches.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bascule_ops import proc

LARGEST_ANSWER = 32 * 1024 * 1024  # bytes; 99 threads' stacks and a long queue are far below


class SourceError(Exception):
    """A part did not answer; the message says how, in words for an operator."""


class SilentError(SourceError):
    """Somebody is there, and takes the connection, but does not answer."""


def ask_all(questions: Mapping[str, Callable[[], Any]], limit: float) -> dict[str, Any]:
    """Call all `questions` at once; return their results by name within `limit` seconds.

    In place of a result stands a `SourceError` where a call raised anything, or has not returned:
    who looks at a stack that is broken must not break of what is found there.
    """
    answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            answers.put((name, question()))
        except SourceError as error:
            answers.put((name, error))
        except OSError as error:
            answers.put((name, SourceError(error.strerror or str(error))))
        except Exception as error:
            words = f"what it answers makes no sense: {type(error).__name__}: {error}"
            answers.put((name, SourceError(words)))

    deadline = time.monotonic() + limit
    for name, question in questions.items():
        try:
            # A daemon, so that one that hangs does not keep the process from its end.
            threading.Thread(target=ask, args=(name, question), daemon=True).start()
        except RuntimeError:
            words = "it could not be asked: there is no thread, or no memory, to be had here"
            answers.put((name, SourceError(words)))
    results: dict[str, Any] = {}
    while len(results) < len(questions):
        try:
            name, result = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        results[name] = result
    missing = SourceError(f"no answer within {limit:g} s")
    return {name: results.get(name, missing) for name in questions}


def connect(address: str, deadline: float) -> socket.socket:
    """Connect to ``unix:PATH`` or ``HOST:PORT``. Raises `SourceError`."""
    remaining = deadline - time.monotonic()
    kind, _, path = address.partition(":")
    try:
        if kind != "unix":
            host, _, port = address.rpartition(":")
            return socket.create_connection((host, int(port)), timeout=remaining)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(remaining)
            sock.connect(path)
        except OSError:
            sock.close()
            raise
    except FileNotFoundError:
        raise SourceError("its socket is not there") from None
    except ConnectionRefusedError:
        raise SourceError("nobody listens on its socket") from None
    except (TimeoutError, BlockingIOError):
        raise SilentError("it takes no connection") from None
    except socket.gaierror as error:
        raise SourceError(f"its name does not resolve: {error.strerror}") from None
    except OSError as error:
        raise SourceError(f"it cannot be reached: {error.strerror or error}") from None
    return sock


def read_to_end(sock: socket.socket, deadline: float) -> bytes:
    """Read until the other side closes.

    Raises `SourceError`, and past `deadline` `SilentError`, with what the kernel knows of the other
    side's process.
    """
    began = time.monotonic()
    received = bytearray()
    while len(received) < LARGEST_ANSWER:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        sock.settimeout(remaining)
        try:
            chunk = sock.recv(65536)
        except TimeoutError:
            break
        except OSError as error:
            raise SourceError(f"it hung up: {error.strerror or error}") from None
        if not chunk:
            return bytes(received)
        received += chunk
    words = f"no whole answer within {deadline - began:.1f} s"
    why = proc.why_silent(proc.listener(sock))
    raise SilentError(f"{words}; {why}" if why else words)
