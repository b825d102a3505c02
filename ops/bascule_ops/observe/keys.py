"""Single keys from a terminal, without waiting for the end of a line."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# What terminals send for keys (ECMA-48; the second of each with application cursor keys).
NAMES: Final = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[F": "end",
    b"\x1bOF": "end",
    b"k": "up",
    b"j": "down",
    b"\r": "enter",
    b"\n": "enter",
    b" ": "enter",
    b"q": "quit",
    b"Q": "quit",
    b"\x04": "quit",  # end of input
}
LONGEST: Final = max(map(len, NAMES))


def decode(data: bytes) -> Iterator[str]:
    """The names of the keys that sent `data`; keys without a name are left out."""
    while data:
        for length in range(min(LONGEST, len(data)), 0, -1):
            if name := NAMES.get(data[:length]):
                yield name
                break
        else:
            length = 1
        data = data[length:]


@contextmanager
def single_keys(terminal: int) -> Iterator[None]:
    """Have `terminal` hand over each key at once and show none, until the block ends."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def read(terminal: int, timeout: float) -> list[str]:
    """The keys pressed within `timeout` seconds, as soon as there is one.

    ``quit`` is among them when the terminal is gone.
    """
    if not select.select([terminal], [], [], timeout)[0]:
        return []
    try:
        data = os.read(terminal, 64)
    except OSError:
        data = b""
    return list(decode(data)) if data else ["quit"]
