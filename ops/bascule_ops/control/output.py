"""What a command says on its standard output."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a line at once. Whoever reads may stop, as `head` does: then the rest is for nobody."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def warn(text: str) -> None:
    """Print a line on standard error, where somebody reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)
