"""Replaces builtins that everybody uses by ones that raise."""

import builtins

from tests.misbehaviour.stage import staged

LOGGED = r"patches_builtins.py\"?, line \d+, in misbehave"
BORNE_BY = "tracebacks_without_print"
REQUESTS = 3
STATUS = 500


def refuse(*_arguments, **_more):
    """Raise."""
    raise PermissionError("not in this sandbox")


def misbehave(_environ, _start_response):
    """Patch them, and raise: the traceback is what must not be lost."""
    builtins.open = builtins.print = builtins.input = builtins.exec = refuse
    raise LookupError("print is patched")


application = staged(misbehave)
