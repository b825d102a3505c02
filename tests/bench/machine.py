"""Describes the machine and the interpreter, so that figures can be judged later."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.harness.processes import ROOT


def describe() -> dict[str, str]:
    """Return facts about this machine, by name."""
    return {
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(os.cpu_count()),
        "memory": memory(Path("/proc/meminfo").read_text()),
        "system": f"{_distribution()}, Linux {platform.release()}",
        "python": interpreter(),
        "nginx": _first_line("nginx", "-v"),
        "cc": _first_line("cc", "--version"),
        "checkout": _checkout(),
        "load before": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def processor(cpuinfo: str) -> str:
    """Return the model's name from ``/proc/cpuinfo``; the architecture where it has none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def memory(meminfo: str) -> str:
    """Return the size of main memory from ``/proc/meminfo``."""
    kibibytes = int(meminfo.splitlines()[0].split()[1])
    return f"{kibibytes / 1024 / 1024:.0f} GiB"


def interpreter() -> str:
    """Return this Python's version and build, and whether it is the system's own."""
    number, date = platform.python_build()
    # The system's is built with PGO and LTO on Debian; a plain build is about 15 % slower.
    origin = "the system's" if Path(sys.base_prefix) == Path("/usr") else "not the system's"
    compiler = platform.python_compiler()
    return f"{platform.python_version()} ({number}, {date}), {compiler}, {origin}"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown distribution"


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "missing"
    output = (done.stdout + done.stderr).strip()
    return output.splitlines()[0] if output else "unknown"


def _checkout() -> str:
    """Return the commit that was measured, and whether anything differed from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
