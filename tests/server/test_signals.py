"""Signals while the application loads: whoever takes one gives it back. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

GIVEN_BACK = """
import os, signal
from bascule.engine.signals import StopWhileLoading

def own(*_):
    pass

signal.signal(signal.SIGTERM, own)
before = os.listdir("/proc/self/fd")
loading = StopWhileLoading(lambda: print("stopped"), 3)
loading.watch()
child = os.fork()  # it has the pipe as well
if not child:
    signal.pause()
loading.end()
assert signal.getsignal(signal.SIGTERM) is own
assert signal.set_wakeup_fd(-1) == -1
while len(os.listdir("/proc/self/task")) > 1 or os.listdir("/proc/self/fd") != before:
    pass
os.kill(child, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_once_an_application_is_not_loaded_after_all_sigterm_is_whose_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
