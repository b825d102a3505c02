"""Loading the application that ``MODULE:CALLABLE`` names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

from bascule.errors import LoadError, StartError
from bascule.wsgi.renamed import successor

# These are installed with the server. The project's directory does not come before what they need:
# the chain adds it itself, and the page that tells how a stack is has no business there.
OWN_PACKAGES: Final = ("bascule_middleware", "bascule_ops")

# Whose frames say nothing about a mistake of the application's.
_NOT_ITS_OWN: Final = ("bascule", *OWN_PACKAGES, "importlib", "_frozen_importlib")

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
        LoadError: it cannot be imported, is not there, or is not callable; the cause is kept.
    """
    module_name, _, path = name.partition(":")
    here = os.getcwd()
    if here not in sys.path and module_name.partition(".")[0] not in OWN_PACKAGES:
        sys.path.insert(0, here)
    found: object = None
    attribute = ""
    try:
        found = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    # SystemExit too: a module that is a script has not the last word on this process.
    except (Exception, SystemExit) as error:
        reason = str(error) or "no reason given"
        kind = type(error).__name__
        text = f"cannot load {name}: {kind}: {' '.join(reason.split())}"
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if renamed := successor(module_name, error):
            text += renamed
        elif attribute and isinstance(error, AttributeError):
            text += _nearest(attribute, [each for each in dir(found) if each[0] != "_"])
        elif missing and f"{module_name}.".startswith(f"{missing}."):
            text += _nearest(missing, _modules_beside(missing, here))
        raise LoadError(text) from error
    if not callable(found):
        raise LoadError(f"cannot load {name}: it is not callable but a {type(found).__name__}")
    return cast("WSGIApplication", found)


def explain(error: LoadError) -> str:
    """Return tracebacks of what went wrong, without frames that are not the application's.

    Args:
        error: as ``load_application`` raised it.

    Returns:
        The first cause first; empty where no line of the application's has to do with it.
    """
    shown: list[str] = []
    cause = error.__cause__
    while cause is not None:
        cause.__traceback__ = _frames_of_its_own(cause.__traceback__)
        if cause.__traceback__ is not None or isinstance(cause, SyntaxError):
            shown.insert(0, "".join(traceback.format_exception(cause, chain=False)))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(shown)


def _frames_of_its_own(found: TracebackType | None) -> TracebackType | None:
    if found is None:
        return None
    following = _frames_of_its_own(found.tb_next)
    module = str(found.tb_frame.f_globals.get("__name__"))
    if module.partition(".")[0] in _NOT_ITS_OWN:
        return following
    return TracebackType(following, found.tb_frame, found.tb_lasti, found.tb_lineno)


def _modules_beside(module: str, directory: str) -> list[str]:
    """Return the modules where one was looked for that is not there."""
    import pkgutil  # noqa: PLC0415 - a worker has no use for it

    parent, dot, _ = module.rpartition(".")
    paths = sys.modules[parent].__path__ if parent else [directory]
    return [parent + dot + each.name for each in pkgutil.iter_modules(paths)]


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - a worker has no use for it

    nearest = get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


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
