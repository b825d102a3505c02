"""Whether a directory may be trusted with sockets, and with what the commands keep in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bascule_ops.errors import Refused

# A unix socket's path has 107 bytes (sockaddr_un), and a worker that is held back is asked at
# .worker-99.sock.PID: 24 bytes with the slash. supervisord binds names with its PID as well.
MOST_BYTES: Final = 81
_UNFIT: Final = re.compile(r"[\"\\$%',]")


def check_owner(name: str, directory: str, *trusted: int) -> None:
    """Raise `Refused` for a link, and for the directory of another user.

    Whoever owns a directory can put a socket of his own in the place of a worker's, whatever its
    mode says; a link can lead elsewhere the next time. This user, root, and the users `trusted`
    (ids) are believed.
    """
    path = Path(directory)
    if path.is_symlink():
        raise Refused(
            f'{name} is "{directory}": that is a link, which could lead elsewhere the next time; '
            "name the directory itself"
        )
    try:
        owner = path.stat().st_uid
    except OSError:
        return  # whoever makes it, or cannot, says more
    if owner not in (0, os.getuid(), *trusted):
        raise Refused(
            f'{name} is "{directory}": that belongs to another user (id {owner}), who could '
            "replace the sockets in it; name a directory of your own, or a new one"
        )


def check_run_dir(directory: str) -> None:
    """Raise `Refused` for a path that no socket, or no configuration file, can have in it."""
    if len(os.fsencode(directory)) > MOST_BYTES:
        raise Refused(
            f'RUN_DIR is "{directory}": that is too long for unix sockets in it, {MOST_BYTES} '
            "bytes are the most. Set RUN_DIR to a shorter directory"
        )
    if _UNFIT.search(directory):
        raise Refused(
            f'RUN_DIR is "{directory}": it may have no quote, comma, backslash, dollar or percent '
            "sign. Set RUN_DIR to another directory"
        )
