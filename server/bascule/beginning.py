"""The first moments of a command: while it is imported, there is nothing to clear up."""

from __future__ import annotations

import signal
from importlib import import_module
from typing import Any


def imported(name: str) -> Any:
    """Import a module and return it; Ctrl-C meanwhile ends the process without a word.

    What is ignored from outside (nohup) stays ignored.
    """
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    module = import_module(name)
    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return module
