"""supervisord in this process."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from supervisor import supervisord  # type: ignore[import-untyped]


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
