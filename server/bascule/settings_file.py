"""The file of ``--config``: settings in TOML, or gunicorn's own ``gunicorn.conf.py``.

A file that ends in ``.toml`` has our settings by their names, as ``--print-config`` shows them.
Every other is Python, and is run, as gunicorn does: what its variables are called decides. Hooks
and what we have not are told, with the reason, and left out; other variables are its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from traceback import walk_tb
from typing import Any, Final

from bascule.config import ConfigError, settings
from bascule.gunicorn import NAMES, reason

# Those that are no setting of a server, but of how one is started.
OF_THE_START: Final = ("application", "chain", "chdir", "env", "env_file", "workers")


class SettingsFile:
    """What a file says.

    Args:
        path: absolute.

    Attributes:
        flags: what is given for each setting, by its name, as a command line would have it.
        sources: what to call each of them in a message.
        notes: a line for each of gunicorn's settings that has no effect.

    Raises:
        ConfigError: it cannot be read, or a setting in it is none.
    """

    def __init__(self, path: str) -> None:
        self.flags: dict[str, list[str]] = {}
        self.sources: dict[str, str] = {}
        self.notes: list[str] = []
        self._name = os.path.basename(path)
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            raise ConfigError(f"--config: cannot read {path}: {error.strerror}") from error
        if path.endswith(".toml"):
            self._take_toml(text)
        else:
            self._take_python(text, path)

    def last(self, name: str) -> str:
        """Return what is given last for a setting; empty where nothing is."""
        return self.flags.get(name, [""])[-1]

    def _take_toml(self, text: bytes) -> None:
        import tomllib  # noqa: PLC0415 - most workers have no use for it

        try:
            found = tomllib.loads(text.decode())
        except ValueError as error:
            raise ConfigError(f"{self._name}: {error}") from error
        known = {*OF_THE_START, *(setting.name for setting in settings())}
        for name, value in found.items():
            if name not in known:
                raise ConfigError(f"{self._name}: there is no setting {name!r} (see --help)")
            self._take(name, name, value)

    def _take_python(self, text: bytes, path: str) -> None:
        variables: dict[str, Any] = {"__name__": "__config__", "__file__": path}
        here = os.getcwd()
        sys.path.insert(0, here)
        try:
            exec(compile(text, path, "exec"), variables)  # noqa: S102 - gunicorn's files are programs
        # SystemExit too: it is no reason for this process to end in silence.
        except (Exception, SystemExit) as error:
            lines = [line for frame, line in walk_tb(error.__traceback__) if _is_of(frame, path)]
            place = f"{self._name}, line {lines[-1]}" if lines else self._name
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError(f"{place}: {what}") from error
        finally:
            os.chdir(here)  # where a file goes is its own matter, there too
            with contextlib.suppress(ValueError):  # it has a list of its own
                sys.path.remove(here)
        for name, value in variables.items():
            if text_ := reason(name, value):
                self.notes.append(f"{self._name}: {name} has no effect: {text_}")
            elif name in NAMES:
                self._take(NAMES[name], name, _as_ours(name, value))

    def _take(self, name: str, source: str, value: object) -> None:
        if value is None:
            return
        self.flags[name] = _texts(value)
        self.sources[name] = f"{self._name}: {source}"


def _is_of(frame: Any, path: str) -> bool:
    return bool(frame.f_code.co_filename == path)


def _as_ours(name: str, value: object) -> object:
    if name == "accesslog" and value is None:
        return "off"
    return value.lower() if name == "loglevel" and isinstance(value, str) else value


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}={each}" for name, each in value.items()]
    if isinstance(value, list | tuple | set):
        return [str(each) for each in value]
    return [("on" if value else "off") if isinstance(value, bool) else str(value)]
