"""Completion of the command line, by the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.harness.terminal import LIMIT, Terminal

pytestmark = pytest.mark.integration

# What is typed, and what the shell makes of it when it is asked to complete it.
COMPLETED = [
    ("un", "unblock"),
    ("dev --thr", "dev --threads"),
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
