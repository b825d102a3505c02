"""Loading the application that ``MODULE:CALLABLE`` names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, cast

from bascule.errors import StartError

# These are installed with the server. The project's directory does not come before what they need:
# the chain adds it itself, and the page that tells how a stack is has no business there.
OWN_PACKAGES: Final = ("bascule_middleware", "bascule_ops")

# What replaces parts of the standard library with its own, by the function that tells of which.
_REPLACERS: Final = {
    "gevent.monkey": "is_module_patched",
    "eventlet.patcher": "is_monkey_patched",
}
# Those that the server's threads and its event loop have to have as they are.
_NEEDED: Final = ("thread", "threading", "select", "socket", "time", "os", "signal")

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def load_application(name: str) -> WSGIApplication:
    """Import a module, from the current directory first, and return the callable.

    Args:
        name: ``MODULE:CALLABLE``; the callable may be an attribute of an attribute.

    Raises:
        StartError: it cannot be imported, is not there, or is not callable; the cause is kept.
    """
    module_name, _, path = name.partition(":")
    here = os.getcwd()
    if here not in sys.path and module_name.partition(".")[0] not in OWN_PACKAGES:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    # SystemExit too: a module that is a script has not the last word on this process.
    except (Exception, SystemExit) as error:
        reason = str(error) or "no reason given"
        kind = type(error).__name__
        raise StartError(f"cannot load {name}: {kind}: {' '.join(reason.split())}") from error
    if not callable(found):
        raise StartError(f"cannot load {name}: a {type(found).__name__} is not callable")
    return cast("WSGIApplication", found)


def check_library(name: str) -> None:
    """See to it that an application has left the standard library as it was.

    Args:
        name: the application's, for the message.

    Raises:
        StartError: it has replaced what the server needs.
    """
    for module, question in _REPLACERS.items():
        if module in sys.modules:
            is_replaced = getattr(sys.modules[module], question)
            if any(is_replaced(each) for each in _NEEDED):
                library = module.partition(".")[0]
                raise StartError(
                    f"cannot serve {name}: it has {library} replace threads and sockets (monkey "
                    "patching), and Bascule calls applications in threads of its own; leave that "
                    f"out, or serve it with a server that is made for {library}"
                )
