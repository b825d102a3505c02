"""XSL stylesheets of one directory, compiled once and again when one of their files has changed.

Names come from documents. What they may reach is drawn narrowly: a name is a relative path of plain
segments that ends in .xsl or .xslt, and the file must lie inside the directory, links followed.
xsl:include and xsl:import reach the same files and no others. While a stylesheet runs, it can read
and write nothing: no document(), no exsl:document, no network (`XSLTAccessControl.DENY_ALL`).

Needs lxml.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from bascule_middleware.links.xslt.own_thread import in_own_thread

# No dot begins a segment, so there is neither ".." nor a hidden file; no colon, so no scheme; and
# nothing that would be encoded in a URL.
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
is_name = re.compile(rf"(?:{_SEGMENT}/)*{_SEGMENT}\.xslt?").fullmatch

# What names are relative to while a stylesheet is compiled; libxslt's messages show it in place of
# the directory. Nothing can load such a URL but our resolver.
_ROOT = "stylesheets:///"

# What tells a changed file: rewritten in place, or replaced by a rename.
Stamp = tuple[int, int, int]


class StylesheetError(Exception):
    """A stylesheet that cannot be used; the text is for the log, not for clients."""


@dataclass(frozen=True)
class _Compiled:
    """A stylesheet, and the files that it was made of."""

    transform: etree.XSLT
    stamps: Mapping[Path, Stamp | None]

    def is_current(self) -> bool:
        return all(_stamp(path) == stamp for path, stamp in self.stamps.items())


class Stylesheets:
    """The stylesheets under a directory, for any number of threads."""

    def __init__(self, directory: Path) -> None:
        """Raises StylesheetError where the directory is not there."""
        try:
            self._directory = directory.resolve(strict=True)
        except OSError as error:
            raise StylesheetError(f'"{directory}": {error.strerror}') from None
        if not self._directory.is_dir():
            raise StylesheetError(f'"{directory}" is not a directory')
        self._compiled: dict[Path, _Compiled] = {}  # as many as there are files in the directory
        self._lock = threading.Lock()

    def get(self, name: str) -> etree.XSLT:
        """Return the compiled stylesheet `name`; StylesheetError where there is none or it is bad.

        It may be used by several threads at a time where each call passes a parameter, see
        `transformation`.
        """
        path = self._path(name)
        compiled = self._compiled.get(path)
        if compiled is None or not compiled.is_current():
            with self._lock:  # many requests find the change at once: one of them compiles
                compiled = self._compiled.get(path)
                if compiled is None or not compiled.is_current():
                    compiled = in_own_thread(lambda: self._compile(name), "xslt-compile")
                    self._compiled[path] = compiled
        return compiled.transform

    def read(self, name: str, stamps: dict[Path, Stamp | None]) -> bytes:
        """Return the bytes of a file, and note its stamp as it was before they were read."""
        path = self._path(name)
        stamps[self._directory / name] = _stamp(path)
        try:
            return path.read_bytes()
        except OSError as error:
            raise StylesheetError(f'"{name}": {error.strerror}') from None

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise StylesheetError(f'"{name}" is not the name of a stylesheet')
        try:
            path = (self._directory / name).resolve(strict=True)
        except OSError as error:
            raise StylesheetError(f'"{name}": {error.strerror}') from None
        except RuntimeError:  # before Python 3.13, a loop of symbolic links
            raise StylesheetError(f'"{name}": a loop of symbolic links') from None
        if not path.is_relative_to(self._directory):
            raise StylesheetError(f'"{name}" leads out of the directory of stylesheets')
        return path

    def _compile(self, name: str) -> _Compiled:
        stamps: dict[Path, Stamp | None] = {}
        # A stylesheet may abbreviate with entities (&nbsp;); they come from no other file.
        parser = etree.XMLParser(
            resolve_entities="internal",  # type: ignore[arg-type]  # the stubs know no strings
            no_network=True,
            load_dtd=False,
        )
        parser.resolvers.add(_Resolver(self, stamps))
        try:
            document = etree.fromstring(self.read(name, stamps), parser, base_url=_ROOT + name)
            denied = etree.XSLTAccessControl.DENY_ALL  # type: ignore[attr-defined]  # the same
            return _Compiled(etree.XSLT(document, access_control=denied), stamps)
        except etree.LxmlError as error:
            raise StylesheetError(f'"{name}": {error}') from None


class _Resolver(etree.Resolver):
    """Answers what a stylesheet includes or imports; an exception refuses it."""

    def __init__(self, stylesheets: Stylesheets, stamps: dict[Path, Stamp | None]) -> None:
        self._stylesheets = stylesheets
        self._stamps = stamps

    def resolve(  # type: ignore[override]  # the stubs lack the context
        self, system_url: str | None, _public_id: str | None, context: Any
    ) -> Any:
        url = system_url or ""
        # What is not below _ROOT keeps its scheme or its slash, and so is no name.
        text = self._stylesheets.read(url.removeprefix(_ROOT), self._stamps)
        return self.resolve_string(text, context, base_url=url)


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with a file; None where it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 (a request waits for it: half the time of Path.stat)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
