"""supervisord in this process, with an exit status that says how it went.

``python -m bascule_ops.supervision.supervised CONFIGURATION`` runs supervisord as its own command
does, in the foreground and, in a container, as PID 1 (it reaps orphans). supervisord exits 0
whatever became of its programs; this exits 1 when `process_events` left a reason, which is then the
last line on standard error. In local mode, where both go to the log file that
``SUPERVISOR_LOG_FILE`` names, SIGUSR2 moves them to the file of that name (`log_rotation`).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

from supervisor import supervisord  # type: ignore[import-untyped]

from bascule_ops.json_log import line
from bascule_ops.supervision.log_rotation import reopen_output
from bascule_ops.supervision.process_events import REASON_FILE
from bascule_ops.supervision.trial import HOLD_FILE, is_served, write_number


def hold_back_beside_others(directory: Path, run_dir: Path) -> None:
    """Have the workers wait, where others serve: ``ops/deploy`` tries them first."""
    hold = directory / HOLD_FILE
    if is_served(run_dir):
        hold.touch()
    else:
        hold.unlink(missing_ok=True)
        write_number(run_dir, int(os.environ["WORKERS"]))


class Options(supervisord.ServerOptions):  # type: ignore[misc]  # it has no types
    """supervisord's, which also open what this process itself writes to anew."""

    # As it was at the start: a deployment replaces the environment by that of new programs.
    log_file = os.environ.get("SUPERVISOR_LOG_FILE")

    def reopenlogs(self) -> None:
        """Change to the log's new file; the programs' lines follow, by way of /dev/fd/1 and 2."""
        if path := self.log_file:
            try:
                reopen_output(path)
            except OSError as error:
                sys.stderr.write(line("error", "log_not_reopened", f"cannot open {path}: {error}"))
                sys.stderr.flush()
        super().reopenlogs()


def run(configuration: str) -> int:
    """Run supervisord until it ends; return the exit status.

    0: it was asked to stop. 1: nothing served any more. 2: supervisord refused its
    configuration.
    """
    directory = Path(os.environ["SUPERVISOR_DIR"])
    reason_file = directory / REASON_FILE
    reason_file.unlink(missing_ok=True)
    hold_back_beside_others(directory, Path(os.environ["RUN_DIR"]))
    complaint = io.StringIO()
    supervisord.ServerOptions = Options  # its main() makes them, once a reload
    try:
        # supervisord prints only where it refuses to start: as plain text, so it is kept
        # and told as a line of the log.
        with contextlib.redirect_stderr(complaint):
            supervisord.main(["--configuration", configuration])
    except SystemExit as end:
        if end.code:
            message = " ".join(complaint.getvalue().split()) or f"supervisord ended: {end.code}"
            sys.stderr.write(line("critical", "configuration", message))
            return 2
    if reason_file.exists():
        sys.stderr.write(reason_file.read_text(encoding="utf-8"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
