"""A command in the place of this process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from threading import Thread

from bascule_ops.json_log import spoken

NOT_RUN, NOT_FOUND = 126, 127
LAST_WORDS = 1.0  # seconds for what it printed last to be written
ENDED_BY_SIGNAL = 128  # and the signal's number
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


def become(command: Sequence[str], speaker: str = "") -> int:
    """Become a command; return an exit status where that has ended already, or cannot be.

    Then the statuses are those of shells: it is not there, or cannot be run.

    Args:
        command: its words.
        speaker: who it is in the log, whose lines the first process makes of what it prints.
    """
    if os.getpid() == 1:
        reader, writer = os.pipe() if speaker else (-1, -1)
        if child := _forked():
            return _watch(child) if not speaker else _tell(child, reader, writer, speaker)
        if speaker:
            os.dup2(writer, 1)
            os.dup2(writer, 2)
    try:
        os.execvp(command[0], tuple(command))  # noqa: S606 (no shell is wanted)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN


def _forked() -> int:
    """Fork; process 1 does not end by a signal that it does not handle (pid_namespaces(7)).

    The child is the terminal's foreground, so that Ctrl-C reaches it, and once.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    if child := os.fork():
        return child
    os.setpgid(0, 0)
    if os.isatty(0):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    return 0


def _tell(child: int, reader: int, writer: int, speaker: str) -> int:
    os.close(writer)
    teller = Thread(target=_put, args=(reader, speaker), daemon=True)
    teller.start()
    status = _watch(child)
    teller.join(LAST_WORDS)  # what it left running may have the pipe as well
    return status


def _put(reader: int, speaker: str) -> None:
    with os.fdopen(reader, "rb") as lines:
        for each in lines:
            os.write(1, spoken(each.rstrip(b"\r\n"), speaker))


def _watch(child: int) -> int:
    """Pass signals on to a child and reap orphans until it ends; return its exit status."""
    for number in PASSED_ON:
        signal.signal(number, lambda passed_on, _: os.kill(child, passed_on))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else ENDED_BY_SIGNAL - code
