"""Loading the application that ``MODULE:CALLABLE`` names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, cast

from bascule.errors import StartError
from bascule.wsgi.renamed import successor

# These are installed with the server. The project's directory does not come before what they need:
# the chain adds it itself, and the page that tells how a stack is has no business there.
OWN_PACKAGES: Final = ("bascule_middleware", "bascule_ops")

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
        told = f"{kind}: {' '.join(reason.split())}{successor(module_name, error)}"
        raise StartError(f"cannot load {name}: {told}") from error
    if not callable(found):
        raise StartError(f"cannot load {name}: a {type(found).__name__} is not callable")
    return cast("WSGIApplication", found)
