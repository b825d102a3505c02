"""Completion of the command line, by the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.harness.tree import LIMIT

pytestmark = pytest.mark.integration

# What is typed, and what the shell makes of it when it is asked to complete it.
COMPLETED = [
    ("un", "unblock"),
    ("up --l", "up --local"),
    ("status --colour al", "status --colour always"),
    ("certificate ins", "certificate install"),
    ("--proj", "--project"),
    ("--project down", "--project downloads/"),
    ("--project downloads stat", "--project downloads status"),
    ("logs --file sav", "logs --file saved.log"),
]
COMMANDS = {
    "bash": ["bash", "--norc", "-i"],
    # Without the tests of who owns Debian's functions, and without a dump of them.
    "zsh": ["zsh", "-f", "-i"],
}
PREPARE = {"bash": "", "zsh": "autoload -Uz compinit; compinit -u -D; "}


def script(shell: str) -> str:
    """What the command prints for a shell."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "ops"), str(ROOT / "server")]),
    }
    command = [sys.executable, "-P", "-m", "bascule_ops", "completion", shell]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True, timeout=LIMIT
    ).stdout


def needed(shell: str) -> None:
    """Skip where there is no such shell; fail where CI expects it."""
    if shutil.which(shell) is None:
        reason = f"needs {shell} (Debian: the package {shell})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "saved.log").touch()
    return tmp_path


class Terminal:
    """A shell on a terminal."""

    def __init__(self, command: list[str], place: Path) -> None:
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.chdir(place)
            os.execvpe(command[0], command, {**os.environ, "TERM": "dumb", "HOME": str(place)})
        self._shown = ""

    def type(self, text: str) -> None:
        """Press these keys; what was shown before no longer counts."""
        self._shown = ""
        os.write(self._terminal, text.encode())

    def wait_for(self, text: str) -> None:
        """Return as soon as the shell has shown it."""
        deadline = time.monotonic() + LIMIT
        while text not in self._shown:
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, left))
            assert readable, f"{text!r} is not in {self._shown!r}"
            self._shown += os.read(self._terminal, 65536).decode(errors="replace")

    def close(self) -> None:
        """End the shell."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


@pytest.fixture(params=sorted(COMMANDS))
def terminal(request: pytest.FixtureRequest, place: Path) -> Iterator[Terminal]:
    shell = request.param
    needed(shell)
    (place / "completion").write_text(script(shell))
    made = Terminal(COMMANDS[shell], place)
    try:
        # The quotes keep what is typed from looking like what is said.
        made.type(f"{PREPARE[shell]}eval \"$(cat completion)\"; rm completion; echo rea''dy\n")
        made.wait_for("ready")
        yield made
    finally:
        made.close()


def test_a_shell_on_a_terminal_completes_it(terminal: Terminal) -> None:
    for typed, completed in COMPLETED:
        terminal.type(f"basculectl {typed}\t")
        terminal.wait_for(f"basculectl {completed}")
        terminal.type("\x15")  # Control-U takes the line away


def test_fish_completes_it(place: Path) -> None:
    needed("fish")
    (place / "basculectl.fish").write_text(script("fish"))
    for typed, completed in COMPLETED:
        ask = f"source basculectl.fish; complete -C 'basculectl {typed}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", ask],
            cwd=place,
            env={**os.environ, "HOME": str(place)},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT,
        )
        word = completed.rpartition(" ")[2]
        assert word in [line.partition("\t")[0] for line in done.stdout.splitlines()], typed
