"""The chain: read from a TOML file, checked, and built around the application.

    application = "app.hello:application"
    static = "static"          # what is in front serves this directory, or "collectstatic"
    media = "media"            # and this one

    [[links]]                  # outermost first
    use = "exceptions"         # a short name, or "package.module:Class"
    debug = false              # every other key is a setting of the link

`load` reads the file once into a frozen `Chain`; `build` imports what it names. Whatever is wrong
becomes a `ChainError` of one line: file, line, link, setting, and what would be right.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bascule_middleware import settings
from bascule_middleware.imports import NameRefusedError, imported, one_line
from bascule_middleware.settings import SettingError, did_you_mean

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

SHORT_NAMES = {
    "allowlist": "bascule_middleware.links.allowlist.allowlist:Allowlist",
    "dispatch": "bascule_middleware.links.dispatch:Dispatch",
    "exceptions": "bascule_middleware.links.exceptions:Exceptions",
    "forward": "bascule_middleware.links.forward.forward:Forward",
    "proxy_headers": "bascule_middleware.links.proxy_headers:ProxyHeaders",
    "ratelimit": "bascule_middleware.links.ratelimit.ratelimit:RateLimit",
    "request_id": "bascule_middleware.links.request_id:RequestId",
    "xslt": "bascule_middleware.links.xslt.xslt:Xslt",
}

# Where a chain is looked for, in the working directory, when nobody names it.
PLACES = ("chain.toml", "app/chain.toml")


class ChainError(Exception):
    """A chain that cannot be loaded; the text is one line for whoever wrote the file."""


@dataclass(frozen=True)
class Source:
    """The file that a chain comes from.

    The text is kept to find the lines that errors name; the directory, absolute, because an
    application may change the working directory when it is imported.
    """

    path: Path
    text: str
    directory: Path

    def error(self, message: str, *where: str | int) -> ChainError:
        """Return an error that speaks of the key at `where`: table names, indices, a key."""
        line = line_of(self.text, where)
        return ChainError(f"{self.path}:{line}: {message}" if line else f"{self.path}: {message}")


@dataclass(frozen=True)
class Link:
    """One link as the file describes it."""

    use: str
    settings: Mapping[str, object]

    @property
    def target(self) -> str:
        """The name of what makes the link, "package.module:Class", where `use` is a short one."""
        return SHORT_NAMES.get(self.use, self.use)


@dataclass(frozen=True)
class Chain:
    """A chain file, parsed: the application's name and the links, outermost first.

    `static` and `media` are for whoever serves files before the application; empty: nothing.
    """

    source: Source
    application: str
    links: tuple[Link, ...]
    static: str = ""
    media: str = ""


def find(directory: Path, named: str) -> Path | None:
    """Return the chain file of a project: `named`, or the one in its usual place, if any."""
    places = (named,) if named else filter(lambda each: (directory / each).exists(), PLACES)
    return next((directory / each for each in places), None)


def load(path: Path) -> Chain:
    """Read a chain file. Raises ChainError where it cannot be read or has a wrong shape."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ChainError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ChainError(f"{path}: not UTF-8, from byte {error.start} on") from None
    except tomllib.TOMLDecodeError as error:
        raise ChainError(f"{path}: not valid TOML: {error}") from None
    source = Source(path, text, path.parent.absolute())

    keys = ("application", "links", "static", "media")
    for key in document:
        if key not in keys:
            raise source.error(f'unknown key "{key}"{did_you_mean(key, keys)}', key)
    if "application" not in document:
        remedy = 'write application = "package.module:callable"'
        raise ChainError(f'{path}: "application" is missing; {remedy}')
    application, links = document["application"], document.get("links", [])
    for key in ("application", "static", "media"):
        if not isinstance(document.get(key, ""), str):
            raise source.error(f'"{key}" must be a string', key)
    if not (isinstance(links, list) and all(isinstance(table, dict) for table in links)):
        raise source.error('"links" must be tables; begin each with "[[links]]"', "links")
    for index, table in enumerate(links):
        if not isinstance(table.get("use"), str):
            message = f'link {index + 1}: "use" must name the link, as in use = "exceptions"'
            where = ["use"] if "use" in table else []
            raise source.error(message, "links", index, *where)
    files = {key: document[key] for key in ("static", "media") if key in document}
    return Chain(source, application, tuple(map(_link, links)), **files)


def _link(table: Mapping[str, Any]) -> Link:
    return Link(table["use"], {name: table[name] for name in table if name != "use"})


def build_in_project(chain: Chain) -> WSGIApplication:
    """Do as `build`, with the working directory on the path, where servers put a project.

    It goes there when the links that have a short name are imported, so that no module of the
    project takes the place of one that they need.
    """
    for link in chain.links:
        if link.use in SHORT_NAMES:
            with suppress(NameRefusedError):  # for `build` to say
                imported(link.target)
    if (project := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, project)
    return build(chain)


def build(chain: Chain) -> WSGIApplication:
    """Import the application and wrap the links around it, the last one first.

    Raises ChainError where something cannot be imported, is not callable, or refuses its settings.
    """
    try:
        application: WSGIApplication = imported(chain.application)
    except NameRefusedError as error:
        raise chain.source.error(f"application {error}", "application") from error.__cause__
    for index in reversed(range(len(chain.links))):
        application = _wrapped(chain, index, application)
    return application


def _wrapped(chain: Chain, index: int, application: WSGIApplication) -> Any:
    link, source = chain.links[index], chain.source
    name = f'link "{link.use}"'
    if ":" not in link.use and link.use not in SHORT_NAMES:
        remedy = did_you_mean(link.use, SHORT_NAMES)
        raise source.error(f"{name} is unknown{remedy}", "links", index, "use")
    try:
        constructor = imported(link.target)
        settings.check(constructor, link.settings)
        values = settings.with_paths(constructor, link.settings, source.directory)
        return constructor(application, **values)
    except NameRefusedError as error:
        raise source.error(f"link {error}", "links", index, "use") from error.__cause__
    except SettingError as error:
        where = [error.setting, *error.keys] if error.setting in link.settings else []
        raise source.error(f"{name}: {error}", "links", index, *where) from error.__cause__
    except Exception as error:
        message = f"{name} cannot be built: {one_line(error)}"
        raise source.error(message, "links", index) from error


def line_of(text: str, where: tuple[str | int, ...]) -> int | None:
    """Return the number of the line on which the key at `where` is written, counted from 1.

    tomllib keeps no positions. But the beginning of a document is a document itself exactly where
    it ends between two statements; so the statement sought is the one whose addition makes the
    key appear. That needs no second grammar, and only a failing start pays for it.
    """
    lines = text.split("\n")
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            document: Any = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        try:
            for step in where:
                document = document[step]
        except (KeyError, IndexError):
            start = end
        else:
            return start + 1
    return None
