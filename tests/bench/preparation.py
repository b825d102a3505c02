"""What a measuring process needs before it starts a server."""

from __future__ import annotations

import compileall
import os
import resource
import signal
import sys

from tests.bench.idle import DESCRIPTORS
from tests.bench.native import MissingToolError
from tests.bench.processes import LOAD_CORES, SERVER_CORES
from tests.harness.processes import ROOT


def make_ready() -> None:
    """Take signals and descriptors as a run needs them, and compile what is measured."""
    # What ends us ends the servers as well, by the way of every ``with``.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A parent that ignored it (a shell's background job) must not take Ctrl-C away.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _allow_descriptors()
    # As packages are when they are installed: a worker that compiles its own modules, because
    # nothing may be written beside them, keeps memory that this took.
    for directory in ("server/bascule", "tests/bench"):
        compileall.compile_dir(ROOT / directory, quiet=1)


def _allow_descriptors() -> None:
    """Let this process and the servers have as many connections as `idle` opens.

    No more than that: some servers allocate for every descriptor that they may have.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))


def require_two_cores() -> None:
    """Raise `MissingToolError` where server and load cannot have a core each."""
    if not {int(SERVER_CORES), int(LOAD_CORES)} <= os.sched_getaffinity(0):
        raise MissingToolError("needs two cores: one for the server, one for the load")
