"""``python -P -m bascule.shell``: a Python shell with the application, or the framework's own.

It runs in the project's directory, by the project's Python, and becomes what the framework has for
it; see ``basculectl shell``.
"""

from __future__ import annotations

import code
import contextlib
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from typing import Final

from bascule import streams
from bascule.config import CHAIN_ENTRY
from bascule.errors import LoadError
from bascule.wsgi.load import explain, load_application

CANNOT_LOAD: Final = 4
_CHAINS: Final = ("chain.toml", "app/chain.toml")  # as bascule_middleware looks for them
# What Pyramid makes of a file; its own shell takes the file.
_PYRAMID: Final = re.compile(r"""pyramid\.paster:get_app\((["'])(.+?)\1.*\)""")


def target() -> str:
    """What is served: as BASCULE_APP says, or the chain's file. Raises `LoadError`."""
    named = os.environ.get("BASCULE_APP", "")
    if named not in ("", CHAIN_ENTRY):
        return named
    for path in filter(None, (os.environ.get("BASCULE_CHAIN"), *_CHAINS)):
        try:
            with open(path, "rb") as file:
                return str(tomllib.load(file)["application"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError) as error:
            raise LoadError(f"cannot read the application's name in {path}: {error}") from error
    raise LoadError("no application is named: set BASCULE_APP, or name it in chain.toml")


def framework_s(name: str) -> Sequence[str]:
    """The words of the framework's own shell; none where it has none. Raises `LoadError`."""
    if os.path.exists("manage.py"):
        return ("manage.py", "shell")
    if pyramid := _PYRAMID.fullmatch(name):
        return ("-m", "pyramid.scripts.pshell", pyramid[2])
    made_of = {each.__module__.partition(".")[0] for each in type(load_application(name)).__mro__}
    return ("-m", "flask", "--app", name, "shell") if "flask" in made_of else ()


def main() -> int:
    """Become it; return the exit status."""
    streams.secure()
    try:
        name = "" if os.path.exists("manage.py") else target()
        if words := framework_s(name):
            os.execv(sys.executable, (sys.executable, *words))  # noqa: S606 - no shell is wanted
        application = load_application(name)
    except LoadError as error:
        print(explain(error), end="", file=sys.stderr)  # noqa: T201
        print(f"bascule: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_LOAD
    with contextlib.suppress(ImportError):  # a Python may lack it
        import readline  # noqa: F401, PLC0415
    code.interact(f"application is {name}", local={"application": application}, exitmsg="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
