"""What becomes of the server in a process that the application forks: nothing.

A forked process has the server's descriptors and, in the thread that forked, the middle of a call.
Left alone it would keep listening sockets and connections open after the worker has closed them,
write to the worker's poller and, at a signal, to the worker's wake-up pipe; and a child that
returns from the call would answer its request a second time. So, before any of the application's
code runs in the child: the server's descriptors are closed there, the signals have their default
actions again, and what comes back from the call ends.

Processes that execute another program have none of the descriptors: all are close-on-exec.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from bascule.engine import signals


class Forks:
    """Has a worker let go in forked processes; made once a process.

    Args:
        let_go: called in each, first of all: closes what is the server's.
    """

    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self._masks = threading.local()  # several threads may fork
        os.register_at_fork(
            before=self._before, after_in_parent=self._unmask, after_in_child=self._begin
        )

    def _before(self) -> None:
        # A signal that comes in between would be the child's, and told to the worker.
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.TAKEN)

    def _unmask(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)

    def _begin(self) -> None:
        signals.restore()
        self._let_go()
        self._unmask()
