"""Signals that would end a process: while the application loads, and strays. Each in its own process."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
        [sys.executable, "-W", "ignore", "-c", GIVEN_BACK],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


STOPPED = """
import os, signal
from bascule.engine.signals import StopWhileLoading

def remove():
    print("removed", flush=True)
    signal.raise_signal(signal.SIGTERM)  # somebody is in a hurry

loading = StopWhileLoading(remove, 3)
WATCH
os.kill(os.getpid(), signal.SIGTERM)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("watch", ["", "loading.watch()"])
def test_sigterm_ends_a_process_whether_a_thread_watches_yet_or_not(watch: str) -> None:
    code = STOPPED.replace("WATCH", watch)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("removed\n", 3)
    assert done.stderr == "bascule: stopped by SIGTERM while the application was loaded\n"


WITHOUT_PROC = """
import builtins, signal
from bascule.engine import signals

def fail(*_, **__):
    raise FileNotFoundError

builtins.open = fail
signals.bear_strays()
assert {signal.getsignal(each) for each in signals.ENDING} == {signal.SIG_DFL}
"""


def test_where_nobody_knows_what_has_a_handler_each_signal_is_left_alone() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PROC], check=True, timeout=60)
