"""Runs the commands of a page in a stack, and compares what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness.tree import Tree
from tests.runbooks.page import Step

MARK = "--- end of a command, status "
LIMIT = 60  # seconds for a block
WAITS = re.compile(r"^Process \d+ finishes what it has; it is given \d+ s at most\.\n", re.M)
PIPE_CLOSED = "141"  # 128 and SIGPIPE: `head` behind a command has seen enough


def environ(tree: Tree) -> dict[str, str]:
    """Return the environment of a page's commands: what they print is the same everywhere."""
    # What curl tells about its progress is not for a page.
    (tree.root / ".curlrc").write_text("silent\nshow-error\n")
    # `python` is the one that runs the tests, whatever the machine calls its own.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return tree.environ | {"CURL_HOME": str(tree.root), "PATH": path}


def run_block(tree: Tree, steps: list[Step], *, may_fail: bool = False) -> list[str]:
    """Run a block's commands in one shell; return what each printed.

    A command's failure raises, unless it `may_fail` and the page says what it prints then.
    """
    lines = ["set -o pipefail"]
    for step in steps:
        command = step.command.replace("localhost/", f"localhost:{tree.port}/")
        lines += [command, f'printf "%s%d\\n" "{MARK}" $?']
    # A file and no pipe: that would stay open with what a command leaves in the background.
    with tempfile.TemporaryFile("w+") as output:
        subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=tree.root,
            env=environ(tree),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=LIMIT,
        )
        output.seek(0)
        *outputs, rest = re.split(rf"{MARK}(\d+)\n", output.read())
    assert rest == ""
    printed, statuses = outputs[::2], outputs[1::2]
    for step, text, status in zip(steps, printed, statuses, strict=True):
        if may_fail and step.expected.strip(".\n "):
            continue
        assert status in ("0", PIPE_CLOSED), f"{step.command} ended with status {status}:\n{text}"
    return printed


def check_output(page: Path, step: Step, output: str) -> None:
    """Fail where a command printed something else than its page says.

    But for what is said only where it takes long, which a machine that is busy makes it do.
    """
    output = WAITS.sub("", output)
    assert step.pattern.fullmatch(output.strip()), (
        f"{page.name}: {step.command}\nshould print\n{step.expected}\nbut printed\n{output}"
    )
