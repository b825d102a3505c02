"""Installs what is measured besides: compiled peers, each by itself, and an earlier server."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.peers import Peer
from tests.harness.processes import ROOT

LOCKS: Final = ROOT / "requirements"


class InstallError(Exception):
    """A peer or an earlier server could not be installed; the message has the reason."""


def locked_version(lock: Path, distribution: str) -> str:
    """Return the version that a lock file has for a distribution; "" where it has none."""
    found = re.search(rf"^{re.escape(distribution)}==(\S+)", lock.read_text(), re.MULTILINE)
    return found.group(1) if found else ""


def is_installed(peer: Peer) -> bool:
    """Whether the peer is there in the version that its lock names."""
    try:
        return peer.version() == locked_version(LOCKS / f"{peer.lock}.txt", peer.distribution)
    except importlib.metadata.PackageNotFoundError:
        return False


def install(peer: Peer) -> None:
    """Install what the peer's own lock names; does nothing when it is there.

    Raises:
        InstallError: pip could not; the message has its last lines.
    """
    if not peer.lock or is_installed(peer):
        return
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--requirement", str(LOCKS / f"{peer.lock}.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    importlib.invalidate_caches()
    if done.returncode:
        raise InstallError(f"does not build: {reason(done.stdout + done.stderr)}")


def check_out(commit: str, directory: Path) -> None:
    """Put the server of an earlier commit into `directory`.

    Raises:
        InstallError: git does not know the commit; the message has its words.
    """
    directory.mkdir()
    archive = directory / "server.tar"
    done = subprocess.run(
        ["git", "archive", "--output", str(archive), commit, "server"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallError(f"has no commit {commit!r} to measure: {done.stderr.strip()}")
    shutil.unpack_archive(archive, directory)


def reason(output: str) -> str:
    """Return what pip's output says went wrong: the compiler's first error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if re.search(r"\berror: (?!subprocess-exited)", line, re.IGNORECASE):
            return line
    return lines[-1] if lines else "pip said nothing"
