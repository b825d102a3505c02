"""The file of a rate table: made by whichever worker comes first, used by all, replaced if broken.

A file counts only for the boot that it was made in, since its times are of that boot's clock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"BSCLRL01"  # with the version of the layout: another one is another file
HEADER_BYTES = 4096  # a page; the body begins on one

# Magic, id of the boot, secret, bytes of the body; then the digest of these.
_HEADER = struct.Struct("<8s36s32sQ")
_CHECK_BYTES = 32
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class NotOursError(OSError):
    """The file belongs to somebody else, or is none. The text is fit to be shown."""


@dataclass(frozen=True)
class RateFile:
    """A file that is complete and valid, open for reading and writing."""

    fd: int
    secret: bytes
    body_bytes: int


def open_file(path: Path, body_bytes: int) -> RateFile:
    """Open the file at `path`; make it, of `body_bytes` zeros and a header, where there is none.

    A file that is there keeps its size. One that is broken, or of another boot, is replaced by a
    new one; whoever still uses that keeps it. Raises OSError, NotOursError.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _check_owner(path, fd)
            # Of all that come at the same time, the first makes it while the others wait here. The
            # kernel takes the lock back where that one dies; what it left is invalid.
            fcntl.lockf(fd, fcntl.LOCK_EX, HEADER_BYTES)
            if not _is_at(path, fd):
                os.close(fd)  # somebody replaced it meanwhile
                continue
            if os.fstat(fd).st_size == 0:
                _initialize(fd, body_bytes)
            file = _read(fd)
            if file is None:
                path.unlink()
                os.close(fd)
                continue
            fcntl.lockf(fd, fcntl.LOCK_UN, HEADER_BYTES)
        except BaseException:
            os.close(fd)
            raise
        return file


def _check_owner(path: Path, fd: int) -> None:
    """Refuse what another user could have put there, or could read or change."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise NotOursError(errno.EINVAL, "it is no regular file", str(path))
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise NotOursError(
            errno.EPERM, "it belongs to another user, or is open to others", str(path)
        )


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _initialize(fd: int, body_bytes: int) -> None:
    # Not a sparse file: in a full file system, a write to the map would kill the worker (SIGBUS).
    os.posix_fallocate(fd, 0, HEADER_BYTES + body_bytes)
    header = _HEADER.pack(MAGIC, _boot_id(), secrets.token_bytes(32), body_bytes)
    os.pwrite(fd, header + _check(header), 0)


def _read(fd: int) -> RateFile | None:
    """Return what the header says; None where it or the file's size is wrong."""
    header = os.pread(fd, _HEADER.size + _CHECK_BYTES, 0)
    fields, check = header[: _HEADER.size], header[_HEADER.size :]
    if len(fields) < _HEADER.size or check != _check(fields):
        return None
    magic, boot_id, secret, body_bytes = _HEADER.unpack(fields)
    if magic != MAGIC or boot_id != _boot_id():
        return None
    if os.fstat(fd).st_size != HEADER_BYTES + body_bytes:
        return None
    return RateFile(fd, secret, body_bytes)


def _check(fields: bytes) -> bytes:
    return hashlib.blake2b(fields, digest_size=_CHECK_BYTES).digest()


def _boot_id() -> bytes:
    return _BOOT_ID.read_bytes().strip()
