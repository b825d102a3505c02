"""Loading the application that ``MODULE[:CALLABLE]`` names, as gunicorn has it.

- ``module``: the first there is of ``application``, ``app``, ``create_app()`` and ``make_app()``
- ``module:name``: also an attribute of an attribute
- ``module:create_app("prod")``: what a factory gives; its arguments are literals
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from bascule.errors import LoadError
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

_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE, without all that inspect imports

# What a module that is named alone is asked for: applications first, then what makes one.
_APPLICATIONS: Final = ("application", "app")
_FACTORIES: Final = ("create_app", "make_app")
# So many names of a module are said where it has none of these.
_NAMES_SAID: Final = 5
# What is wrong with the application itself, and still is when it is loaded again. A module that
# exits is a script.
_LASTING: Final = (SyntaxError, ImportError, NameError, SystemExit)

if TYPE_CHECKING:
    import ast
    from wsgiref.types import WSGIApplication


class _NamingError(Exception):
    """What is named is not there; the message says what is."""


def load_application(name: str, directories: Sequence[str] = ()) -> WSGIApplication:
    """Import a module, from the current directory first, and return the callable.

    Args:
        name: ``MODULE``, ``MODULE:CALLABLE`` or ``MODULE:FACTORY(ARGUMENTS)``.
        directories: where to look next.

    Raises:
        LoadError: it cannot be imported, is not there, or is not callable; the cause is kept.
    """
    module_name, _, path = name.partition(":")
    here = os.getcwd()
    sys.path[:0] = [each for each in directories if each not in sys.path]
    if here not in sys.path and module_name.partition(".")[0] not in OWN_PACKAGES:
        sys.path.insert(0, here)
    try:
        _check_name(module_name)
        module = importlib.import_module(module_name)
        if not path:
            found = _found_in(module)
        elif path.endswith(")"):
            found = _evaluated(_parsed(path), module)
        else:
            found = module
            for attribute in path.split("."):
                found = getattr(found, attribute)
    except _NamingError as error:
        raise LoadError(f"cannot load {name}: {error}") from error.__cause__
    # SystemExit too: a module that is a script has not the last word on this process.
    except (Exception, SystemExit) as error:
        reason = str(error) or "no reason given"
        kind = type(error).__name__
        text = f"cannot load {name}: {kind}: {' '.join(reason.split())}"
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if renamed := successor(module_name, error):
            text += renamed
        elif isinstance(error, AttributeError) and error.name and error.name in path:
            text += _nearest(error.name, _public(error.obj))
        elif missing and f"{module_name}.".startswith(f"{missing}."):
            text += _nearest(missing, _beside(missing, here))
        raise LoadError(text) from error
    if not callable(found):
        given = f"{path} gave no callable" if path.endswith(")") else "it is not callable"
        raise LoadError(f"cannot load {name}: {given} but {_a_kind_of(found)}")
    if any(_is_coroutine_function(each) for each in (found, type(found).__call__)):
        raise LoadError(f"cannot load {name}: it is an application for ASGI, and WSGI is served")
    return cast("WSGIApplication", found)


def _check_name(module: str) -> None:
    """See to it that a module's name is one, and not a path."""
    if os.sep in module or os.path.isfile(module):
        own = os.path.relpath(module).removesuffix(".py").replace(os.sep, ".")
        raise _NamingError(f"it is a path; name the module: {own}")
    if not all(module.split(".")):
        raise _NamingError("it is no module's name, such as project.wsgi")


def _found_in(module: ModuleType) -> object:
    """Return the application of a module that is named alone, or what its factory makes."""
    for name in _APPLICATIONS:
        if callable(found := getattr(module, name, None)):
            return found
    for name in _FACTORIES:
        if callable(factory := getattr(module, name, None)):
            found = _called(name, factory, (), {})
            if callable(found):
                return found
            raise _NamingError(f"{name}() gave no callable but {_a_kind_of(found)}")
    own = [
        name
        for name in _public(module)
        if getattr(found := getattr(module, name), "__module__", "") == module.__name__
        and callable(found)
    ]
    known = (*_APPLICATIONS, *_FACTORIES)
    there = [
        f"{name} is {_a_kind_of(getattr(module, name))}" for name in known if hasattr(module, name)
    ]
    text = f"it has no callable named {', '.join(known[:-1])} or {known[-1]}"
    if there:
        text += f" ({', '.join(there)})"
    if own:
        text += f"; if {' or '.join(own[:_NAMES_SAID])} is it, name it: {module.__name__}:{own[0]}"
    raise _NamingError(text)


def _parsed(text: str) -> ast.expr:
    import ast  # noqa: PLC0415 - most workers have no use for it

    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise _NamingError(f"{text} is neither a name nor a call such as create_app()") from None


def _evaluated(node: ast.expr, module: ModuleType) -> object:
    """Return what names, attributes and calls with literals give."""
    import ast  # noqa: PLC0415 - as above

    match node:
        case ast.Name(id=name):
            return getattr(module, name)
        case ast.Attribute(value=value, attr=name):
            return getattr(_evaluated(value, module), name)
        case ast.Call(func=func, args=args, keywords=keywords):
            try:
                values = [ast.literal_eval(each) for each in args]
                named = {str(each.arg or "**"): ast.literal_eval(each.value) for each in keywords}
            except ValueError:
                raise _NamingError(
                    f"{ast.unparse(node)}: arguments are literals only, such as "
                    "create_app('prod', debug=False)"
                ) from None
            return _called(ast.unparse(func), _evaluated(func, module), values, named)
    raise _NamingError(f"{ast.unparse(node)} is neither a name nor a call such as create_app()")


def _called(
    name: str, factory: Any, arguments: Sequence[object], named: Mapping[str, object]
) -> object:
    if not callable(factory):
        raise _NamingError(f"{name} is not callable but {_a_kind_of(factory)}")
    try:
        return factory(*arguments, **named)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise  # it is of the factory's own making
        raise _NamingError(
            f"{error}; write its arguments, such as {name}('prod', debug=False)"
        ) from None


def _is_coroutine_function(found: object) -> bool:
    code = getattr(found, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & _COROUTINE)


def _a_kind_of(found: object) -> str:
    return f"a {type(found).__name__}"


def _public(found: object) -> list[str]:
    return [each for each in dir(found) if each[0] != "_"]


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


def may_load_later(error: LoadError) -> bool:
    """Return whether what went wrong may mend itself, such as a database that is not there yet.

    It may where the application's own code failed, but for mistakes of its source.

    Args:
        error: as ``load_application`` raised it.
    """
    cause = error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is None or isinstance(cause, _LASTING):
        return False
    return _frames_of_its_own(cause.__traceback__) is not None


def _frames_of_its_own(found: TracebackType | None) -> TracebackType | None:
    if found is None:
        return None
    following = _frames_of_its_own(found.tb_next)
    if is_of_the_server(found.tb_frame):
        return following
    return TracebackType(following, found.tb_frame, found.tb_lasti, found.tb_lineno)


def is_of_the_server(frame: FrameType) -> bool:
    """Return whether a frame is the server's, the chain's or the import system's."""
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] in _NOT_ITS_OWN


def _beside(module: str, directory: str) -> list[str]:
    """Return what might be meant by a module that is not there: others, or a name within one."""
    import pkgutil  # noqa: PLC0415 - a worker has no use for it

    parent, dot, _ = module.rpartition(".")
    found = sys.modules[parent] if parent else None
    paths = getattr(found, "__path__", []) if parent else [directory]
    within = [f"{parent}:{each}" for each in _public(found)] if parent else []
    return [parent + dot + each.name for each in pkgutil.iter_modules(paths)] + within


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - a worker has no use for it

    nearest = get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def check_library(name: str) -> None:
    """See to it that an application has left the standard library as it was.

    Args:
        name: the application's, for the message.

    Raises:
        LoadError: it has replaced what the server needs.
    """
    for module, question in _REPLACERS.items():
        if module in sys.modules:
            is_replaced = getattr(sys.modules[module], question)
            if any(is_replaced(each) for each in _NEEDED):
                library = module.partition(".")[0]
                raise LoadError(
                    f"cannot serve {name}: it has {library} replace threads and sockets (monkey "
                    "patching), and Bascule calls applications in threads of its own; leave that "
                    f"out, or serve it with a server that is made for {library}"
                )
