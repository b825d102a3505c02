"""supervisord in this process."""

from __future__ import annotations

import contextlib
import io
import signal
from pathlib import Path
from typing import Final

from supervisor import supervisord  # type: ignore[import-untyped]

STOPS: Final = (signal.SIGTERM, signal.SIGQUIT)  # stopsignal of the programs


class Options(supervisord.ServerOptions):  # type: ignore[misc]  # it has no types
    """supervisord's, whose programs hear that they are to stop, however soon after their start."""

    def fork(self) -> int:
        """Fork, and give the child no handler of this process's.

        That would swallow the signal, in the moment before it is another program, which then would
        be waited for in vain, and killed.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            pid: int = super().fork()
            if pid == 0:
                for number in STOPS:
                    signal.signal(number, signal.SIG_DFL)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def supervise(options: type, configuration: Path) -> str:
    """Run supervisord until it ends; return why it refused to start, empty where it did not.

    Args:
        options: the kind of ``supervisor.options.ServerOptions`` that it makes.
        configuration: its file.
    """
    complaint = io.StringIO()
    supervisord.ServerOptions = options  # its main() makes them, once a reload
    try:
        # supervisord prints only where it refuses to start: as plain text, so it is kept.
        with contextlib.redirect_stderr(complaint):
            supervisord.main(["--configuration", str(configuration)])
    except SystemExit as end:
        if end.code:
            return " ".join(complaint.getvalue().split()) or f"supervisord ended: {end.code}"
    return ""
