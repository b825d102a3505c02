"""The file .env, where a command keeps a setting in it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def keep(root: Path, name: str, value: str) -> None:
    """Give a setting a value in a project's .env. Raises `OSError`."""
    file = root / ".env"
    before = file.read_bytes() if file.exists() else b""
    _write(file, _with(before, name.encode(), value.encode()))


def _with(env: bytes, name: bytes, value: bytes) -> bytes:
    lines = env.splitlines(keepends=True)
    old = re.compile(rb"\s*(export\s+)?%b\s*[=:]" % re.escape(name))
    kept = [each for each in lines if not old.match(each)]
    end = b"" if not kept or kept[-1].endswith(b"\n") else b"\n"
    return b"".join(kept) + end + b"%b=%b\n" % (name, value)


def _write(file: Path, content: bytes) -> None:
    """Replace a file in one step; it keeps its mode, for it may have secrets in it."""
    new = file.with_name(f".env.{os.getpid()}")
    new.touch(mode=0o600)
    if file.exists():
        new.chmod(file.stat().st_mode)
    new.write_bytes(content)
    new.replace(file)
