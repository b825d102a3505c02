"""What systemd hands to a service and wants to hear of it (sd_listen_fds(3), sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

_FIRST: Final = 3  # SD_LISTEN_FDS_START


def addresses(environment: Mapping[str, str]) -> str:
    """Return the sockets that it has opened for this process: ``fd://3,fd://4``; or nothing."""
    number = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not number.isdecimal():
        return ""
    return ",".join(f"fd://{_FIRST + each}" for each in range(int(number)))


def tell_ready() -> None:
    """Say that this process serves, where somebody waits for that (``Type=notify``)."""
    if path := os.environ.get("NOTIFY_SOCKET"):
        address = f"\0{path[1:]}" if path.startswith("@") else path
        # Whoever does not hear it says so himself.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1\n", address)
