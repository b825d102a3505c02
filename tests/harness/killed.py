"""Runs basculectl and kills it with SIGKILL at one of its effects.

``python tests/harness/killed.py PLACE --project DIR deploy ...``. An effect is what is left when the
process is gone: a file, a program that it runs, a call to supervisord; it is killed before it comes
about. PLACE is a number, and of effects with the same name only the first counts; or a part of the
name, and ``|2`` behind that for the second one. Where there is none, it runs to its end.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
from typing import Any, Final

# Whether tests kill at every place, and not at every second one, which covers each step.
EVERYWHERE: Final = os.environ.get("KILL_EVERYWHERE") == "1"
FILES: Final = ("os.rename", "os.remove", "os.mkdir", "os.symlink", "os.rmdir")
REMOVING: Final = ("os.remove", "os.rmdir")
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# What differs from one time to the next: ids of processes and containers, dates, what is made up.
VARYING: Final = re.compile(r"\b[0-9a-f]{12,64}\b|\d+")


def name(event: str, arguments: tuple[Any, ...]) -> str:
    """What an effect is called; empty for what is none."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(path, str) and isinstance(flags, int) and flags & WRITING
        return f"write {_place(path)}" if writes and not _is_hidden(path) else ""
    if event in FILES:
        path = os.fsdecode(arguments[1] if event == "os.rename" else arguments[0])
        # A directory that is removed with all that is in it is one effect.
        is_within = event in REMOVING and arguments[1] != -1
        return "" if is_within or _is_hidden(path) else f"{event} {_place(path)}"
    if event == "subprocess.Popen":
        return f"run {' '.join(map(os.fsdecode, arguments[1]))}"
    if event == "http.client.send":
        method = re.search(rb"<methodName>(.*)</methodName>", bytes(arguments[1]))
        return f"call {method[1].decode()}" if method else ""
    return ""


def _is_hidden(path: str) -> bool:
    """Whether nobody sees it, until it is renamed."""
    return path.rpartition("/")[2].startswith(".") and not path.endswith("/.env")


def _place(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def kill_at(place: str) -> None:
    """Have this process killed there."""
    wanted, _, which = place.partition("|")
    seen: dict[str, int] = {}
    met = itertools.count(1)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        effect = VARYING.sub("#", name(event, arguments))
        if not effect or effect.endswith("/dev/null"):
            return
        number = seen.setdefault(effect, len(seen) + 1)
        is_there = wanted == str(number)
        if not wanted.isdigit():
            is_there = wanted in effect and next(met) == int(which or 1)
        if is_there:
            os.write(2, f"killed before: {effect}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)


if __name__ == "__main__":
    from bascule_ops.control import command_line

    kill_at(sys.argv[1])
    sys.exit(command_line.main(sys.argv[2:]))
