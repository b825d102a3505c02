"""``python -m bascule MODULE:CALLABLE``: the same as the command ``bascule``."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; return the exit code."""
    # Until all is imported there is nothing to clear up: Ctrl-C ends it without a word. What is
    # ignored from outside (nohup) stays ignored.
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from bascule import command  # noqa: PLC0415

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
