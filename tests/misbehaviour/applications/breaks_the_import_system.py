"""Forgets every module that was imported, and has every import raise from now on."""

import sys

from tests.misbehaviour.stage import staged

LOGGED = r"ImportError: nobody imports a_module_of_nobody here"
BORNE_BY = "no_late_imports"
REQUESTS = 3
STATUS = 500


class Finder:
    """Finds nothing, loudly."""

    def find_spec(self, name, path=None, target=None):
        raise ImportError(f"nobody imports {name} here")


def misbehave(_environ, _start_response):
    """Install it, and import."""
    sys.meta_path[:] = [Finder()]
    for name in [*sys.modules]:
        if name not in ("sys", "builtins"):
            del sys.modules[name]
    import a_module_of_nobody  # noqa: F401


application = staged(misbehave)
