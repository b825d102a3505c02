"""``--workers N``: several of this process behind one address, by the stack's own supervisor.

No process of the server looks after others. It checks that one could serve, and then becomes
supervisord, by the name of its module: the server imports nothing of the commands.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from bascule.config import Config, ConfigError, settings, variable

_SUPERVISION: Final = "bascule_ops.supervision.processes"


def run(config: Config, number: int) -> int:
    """Become supervisord, with so many servers; return the exit code where none could serve.

    Raises:
        ConfigError: several cannot be served so.
    """
    _check(config, number)
    for setting in settings():
        os.environ[variable(setting.name)] = _text(getattr(config, setting.name))
    os.environ["BASCULE_APP"] = config.application
    python = (sys.executable, "-P", "-m")
    # What is wrong with the application is said once, and ends this with its own status.
    done = subprocess.run(  # noqa: S603 - this program itself
        [*python, "bascule", "--check-config"], stdout=subprocess.DEVNULL, check=False
    )
    if not done.returncode:
        os.execv(sys.executable, [*python, _SUPERVISION, str(number)])  # noqa: S606 - as above
    return done.returncode


def _check(config: Config, number: int) -> None:
    asked = f"--workers {number}"
    if not all(find_spec(name) for name in ("bascule_ops", "supervisor")):
        raise ConfigError(f"{asked}: supervisor starts them, and is not installed")
    if len(config.bind) > 1:
        raise ConfigError(f"{asked}: they share one address, not {','.join(config.bind)}")
    if config.status_socket:
        raise ConfigError(f"{asked}: --status-socket is of one process")


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
