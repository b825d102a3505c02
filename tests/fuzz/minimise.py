"""The smallest stream, near enough, that still shows a finding."""

from __future__ import annotations

from collections.abc import Callable


def minimise(data: bytes, shows: Callable[[bytes], object]) -> bytes:
    """Return the stream without what can be left out of it, larger pieces first.

    Args:
        data: a stream that shows the finding.
        shows: whether another one does, too.
    """
    size = max(1, len(data) // 2)
    while True:
        at = 0
        removed = False
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if shows(shorter):
                data = shorter
                removed = True
            else:
                at += size
        if size > 1:
            size //= 2
        elif not removed:
            return data
