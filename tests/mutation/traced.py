"""Notes which lines of the package each test runs, in its own process and in those it starts.

The environment of the copy that tests run in imports this module at each start. It does nothing
unless ``TRACED_LINES`` names a directory: in it, the file ``test`` has the number of the
test that runs, and each process writes a file of its own, a line a finding.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

VARIABLE: Final = "TRACED_LINES"
# So often a test has a function's lines noted; further calls seldom reach others, and cost.
CALLS: Final = 25
# And this often where some of them are yet to be run.
CALLS_INCOMPLETE: Final = 2000
# The test's number, in digits.
WIDTH: Final = 8
STDERR: Final = 2
# Where its descriptors are.
HIGH: Final = 200


def begin() -> None:
    """Note from now on."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        return
    package = os.environ[f"{VARIABLE}_OF"]
    # Where a process has been started without standard streams, their numbers stay free.
    low = [os.open(os.devnull, os.O_RDONLY)]
    while low[-1] <= STDERR:
        low.append(os.open(os.devnull, os.O_RDONLY))
    with Path(directory, "test").open("rb") as file:
        test = mmap.mmap(file.fileno(), WIDTH, access=mmap.ACCESS_READ)
    for each in low:
        os.close(each)
    seen: set[tuple[bytes, str, int]] = set()
    calls: dict[tuple[bytes, CodeType], int] = {}
    files: dict[int, int] = {}

    def note(frame: FrameType) -> None:
        found = (test[:WIDTH], frame.f_code.co_filename, frame.f_lineno)
        if found in seen:
            return
        seen.add(found)
        pid = os.getpid()
        if pid not in files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            low = os.open(f"{directory}/{pid}", flags, 0o666)
            # High, so that the process has the usual numbers for itself.
            files[pid] = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH)
            os.close(low)
        try:
            text = f"{found[0].decode()} {found[2]} {found[1][len(package) + 1 :]}\n"
            os.write(files[pid], text.encode())
        except OSError:
            del files[pid]
            seen.discard(found)

    def on_line(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            note(frame)
        return on_line

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(package):
            return None
        call = (test[:WIDTH], code)
        calls[call] = count = calls.get(call, 0) + 1
        if count <= CALLS:
            return on_line
        if count > CALLS_INCOMPLETE or all(
            (call[0], code.co_filename, line) in seen for *_, line in code.co_lines() if line
        ):
            calls[call] = CALLS_INCOMPLETE
            return None
        return on_line

    threading.settrace(on_call)
    sys.settrace(on_call)


begin()
