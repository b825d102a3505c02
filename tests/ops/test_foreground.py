"""supervisord in this process: how it starts its programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The child ends by the first signal that is not swallowed; SIGALRM is for where one was.
FORKED = """
import os, signal
from bascule_ops.supervision.foreground import Options

signal.signal(signal.NUMBER, lambda *_: None)
pid = Options().fork()
if not pid:
    signal.alarm(10)
    while True:
        signal.pause()
os.kill(pid, signal.NUMBER)
print(signal.Signals(os.WTERMSIG(os.waitpid(pid, 0)[1])).name)
os.kill(os.getpid(), signal.NUMBER)
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGQUIT"])
def test_a_program_that_is_to_stop_hears_it_before_it_is_one(number: str) -> None:
    code = FORKED.replace("NUMBER", number)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{number}\n", "", 0)
