"""A call in a thread of its own, for what leaves something behind in its thread.

libxml2 keeps every name of an element or attribute in a dictionary. lxml has one for each thread,
shared by all that the thread parses, and it only grows: documents with ever new names would fill
the memory of a server's long-lived threads (by 2.4 MB for 1 MiB of names, measured). The dictionary
of a thread that ends goes with its last document.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call(threading.Thread, Generic[T]):
    result: T
    error: BaseException | None = None

    def __init__(self, function: Callable[[], T], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._function = function

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:  # it is raised again where the call was asked for
            self.error = error


def in_own_thread(function: Callable[[], T], name: str) -> T:
    """Return what `function` returns, or raise what it raises, called in a new thread.

    `name` is the thread's, for whoever looks at the stacks of a process.
    """
    call = _Call(function, name)
    call.start()
    call.join()
    if call.error is not None:
        try:
            raise call.error
        finally:
            call.error = None  # its traceback refers to this frame: a cycle
    return call.result
