"""An XML-RPC interface of supervisord: the environment that it starts programs with.

supervisord expands ``%(ENV_...)s`` with its own environment and hands that on to programs. A
deployment in local mode changes it, so that the programs of a supervisord that goes on get
new settings. Text travels as JSON in ASCII, because XML cannot hold every byte of a variable.
"""

from __future__ import annotations

import json
import os
from typing import Protocol


class Options(Protocol):
    """What is used of supervisord's options."""

    environ_expansions: dict[str, str]


class Supervisord(Protocol):
    """What is used of supervisord."""

    options: Options


class SettingsInterface:
    """The methods ``settings.read`` and ``settings.replace``."""

    def __init__(self, supervisord: Supervisord) -> None:
        self._expansions = supervisord.options.environ_expansions

    def read(self) -> str:
        """Return the environment, as a JSON object."""
        return json.dumps(dict(os.environ))

    def replace(self, text: str) -> bool:
        """Take an environment, as a JSON object, in place of the one that there is."""
        settings: dict[str, str] = json.loads(text)
        os.environ.clear()
        os.environ.update(settings)
        self._expansions.clear()
        self._expansions.update({f"ENV_{name}": value for name, value in settings.items()})
        return True


def make_settings_interface(supervisord: Supervisord, **_: str) -> SettingsInterface:
    """Make the interface; supervisord calls this by its configuration."""
    return SettingsInterface(supervisord)
