"""The file .env, and files of its format. Nothing in them is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)", re.ASCII)
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1""")
_COMMENT: Final = re.compile(r"\s#.*")


def read(path: Path) -> dict[str, str]:
    """The settings in a file, as compose reads them; none where there is no file.

    Raises `OSError` where it cannot be read.
    """
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8", "surrogateescape").split("\n"):
        if match := _LINE.fullmatch(line.removesuffix("\r")):
            found[match[1]] = _value(match[2])
    return found


def _value(text: str) -> str:
    if quoted := _QUOTED.match(text):
        return quoted[2]
    return _COMMENT.sub("", text, count=1).rstrip()
