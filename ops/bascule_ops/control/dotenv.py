"""The file .env, where a command keeps a setting in it."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path


def keep(root: Path, name: str, value: str) -> None:
    """Give a setting a value in a project's .env. Raises `OSError`."""
    file = root / ".env"
    before = file.read_bytes() if file.exists() else b""
    _write(file, _with(before, name.encode(), value.encode()))


def _with(env: bytes, name: bytes, value: bytes) -> bytes:
    """The file with another value where the setting stands; else with it at its end.

    Where a value names it already, with it at its top: a setting stands above what names it.
    """
    line = b"%b=%b" % (name, value)
    written = rb"^[^\S\n]*(?:export[^\S\n]+)?%b[^\S\n]*[=:][^\r\n]*" % re.escape(name)
    if found := list(re.finditer(written, env, re.MULTILINE)):
        return env[: found[-1].start()] + line + env[found[-1].end() :]
    if not re.search(rb"\$\{?%b\b" % re.escape(name), env):
        return env + (b"" if env.endswith(b"\n") or not env else b"\n") + line + b"\n"
    mark = codecs.BOM_UTF8 if env.startswith(codecs.BOM_UTF8) else b""
    return mark + line + b"\n" + env.removeprefix(mark)


def _write(file: Path, content: bytes) -> None:
    """Replace a file in one step; it keeps its mode, for it may have secrets in it."""
    new = file.with_name(f".env.{os.getpid()}")
    new.touch(mode=0o600)
    if file.exists():
        new.chmod(file.stat().st_mode)
    new.write_bytes(content)
    new.replace(file)
