"""What a command says on its standard streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from bascule_ops.errors import CommandError


def say(text: str, end: str = "\n") -> None:
    """Print a line, or a part of one, at once.

    Whoever reads may stop, as `head` does: then the rest is for nobody.

    Raises `CommandError` where it cannot be written, as on a full disk.
    """
    with _written():
        print(text, end=end, flush=True)


def finish() -> None:
    """See that all that was said so far is written. Raises `CommandError`, as `say` does."""
    with _written():
        sys.stdout.flush()


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        raise CommandError(f"cannot write what it says: {error.strerror}") from error


def warn(text: str) -> None:
    """Print a line on standard error, where somebody reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it, or the disk that it goes to is full
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Have a stream lead nowhere: Python flushes once more at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
