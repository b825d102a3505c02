"""How the commands that read the log begin and end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable


def run(program: str, work: Callable[[], int]) -> int:
    """Do the work and return its exit status; 1 where the log cannot be read, 130 on Ctrl-C."""
    try:
        return work()
    except OSError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def become(main: Callable[[list[str]], int]) -> None:
    """End this process with what `main` returns for its arguments."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may stop, as `head` does
    sys.exit(main(sys.argv[1:]))
