"""Where threads are right now, as text.

No frame is kept: a frame keeps alive whatever its function has in hand. Threads run on while they
are looked at, so what is told of one may be a moment old.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from types import FrameType
from typing import Final, NamedTuple

# Innermost frames of a thread that are told of.
FRAMES: Final = 30
# Frames that are looked at: how deep a recursion may be for its beginning to be found.
_DEPTH: Final = 5000

_SERVER: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_INSTALLED: Final = (_LIBRARY + "site-packages" + os.sep, _LIBRARY + "dist-packages" + os.sep)


class Stack(NamedTuple):
    """Where a thread is.

    Attributes:
        frames: ``file:line function``, innermost last, from the application's first on.
        location: the innermost of the application's; empty where it has none.
        in_server: the server is at work, for the application or without it: what takes long then
            is the client, or the machine.
    """

    frames: list[str]
    location: str
    in_server: bool


def stacks(threads: Collection[int]) -> dict[int, Stack]:
    """Return where these threads are, by their identifiers; without those that have ended."""
    current = sys._current_frames()
    return {thread: _stack(current[thread]) for thread in threads if thread in current}


def _stack(innermost: FrameType) -> Stack:
    frames: list[str] = []  # innermost first
    location = ""
    in_server = False
    outermost = 0  # of the application's
    frame: FrameType | None = innermost
    while frame is not None and len(frames) < _DEPTH:
        code = frame.f_code
        frames.append(f"{code.co_filename}:{frame.f_lineno} {code.co_name}")
        if _is_application(code.co_filename):
            location = location or frames[-1]
            outermost = len(frames)
        elif not location and code.co_filename.startswith(_SERVER):
            in_server = True
        frame = frame.f_back
    shown = frames[: outermost or len(frames)][:FRAMES]
    return Stack(shown[::-1], location, in_server or not location)


def _is_application(file: str) -> bool:
    """Return whether it belongs neither to the server nor to the standard library."""
    if file.startswith((_SERVER, "<frozen ")):
        return False
    return not file.startswith(_LIBRARY) or file.startswith(_INSTALLED)
