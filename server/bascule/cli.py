"""The command line: what was given, and what ``--help`` answers.

Every option but three takes one value, so this is short; ``argparse`` would be half a megabyte of
each worker for as long as it serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bascule.config import ConfigError, default_text, flag, settings

APPLICATION: Final = "MODULE[:CALLABLE]"
HELP: Final = ("-h", "--help")
VERSION: Final = "--version"
CHAIN: Final = "--chain"
CHECK: Final = "--check-config"

_USAGE: Final = f"""\
usage: bascule [OPTION VALUE]... {APPLICATION}
       bascule [OPTION VALUE]... {CHAIN} FILE

Serves a WSGI application (PEP 3333) over HTTP/1.1.

Each option may be given in the environment as well: --max-requests is BASCULE_MAX_REQUESTS.
Sizes are in bytes and times in seconds unless an option says otherwise."""
_EXAMPLES: Final = """\
examples:
  bascule app.hello:application
  bascule --bind 0.0.0.0:8080 --threads 16 project.wsgi:application
  bascule --bind unix:/run/app.sock --access-logformat json --chain chain.toml

SIGTERM finishes what is in flight, then ends; SIGINT (Ctrl-C) also closes idle connections, and a
second one ends at once; SIGUSR1 reopens the access log."""
_WITHOUT_VALUE: Final = (
    (
        APPLICATION,
        "the application, such as app.hello:application or 'shop:create_app(\"prod\")' "
        "(BASCULE_APP); of a module alone its application, app, create_app() or make_app()",
    ),
    (
        f"{CHAIN} FILE",
        "in its place a chain file, which names the application and its middleware "
        "links (BASCULE_CHAIN)",
    ),
    (", ".join(HELP), "show this text and end"),
    (VERSION, "show the version and end"),
    (CHECK, "check the settings, load the application, and end without serving"),
)
_WIDTH: Final = 80
_INDENT: Final = " " * 24


class Arguments:
    """What a command line says.

    Attributes:
        application: ``MODULE[:CALLABLE]``; empty where it is not named.
        chain: the chain file; empty where none is named.
        flags: what was given for each setting, by its name, in order.
        switches: of the options without a value, those that were given.
    """

    def __init__(self) -> None:
        self.application = ""
        self.chain = ""
        self.flags: dict[str, list[str]] = {}
        self.switches: set[str] = set()


def parse(argv: Sequence[str]) -> Arguments:
    """Return what the arguments say: ``--option value`` or ``--option=value``, in any order.

    Raises:
        ConfigError: an option is unknown or lacks its value, or there is too much.
    """
    names = {flag(setting.name): setting.name for setting in settings()}
    found = Arguments()
    rest = iter(argv)
    for argument in rest:
        option, has_value, value = argument.partition("=")
        if argument in (*HELP, VERSION, CHECK):
            found.switches.add(argument)
        elif option == CHAIN:
            found.chain = value if has_value else _value(option, rest)
        elif option in names:
            found.flags.setdefault(names[option], []).append(
                value if has_value else _value(option, rest)
            )
        elif argument.startswith("-") or found.application:
            raise ConfigError(f"unrecognized arguments: {argument} (see --help)")
        else:
            found.application = argument
    return found


def _value(option: str, rest: Iterator[str]) -> str:
    value = next(rest, "--")
    if value.startswith("--"):  # the next option, most likely
        raise ConfigError(f"argument {option}: expected one argument (see --help)")
    return value


def help_text() -> str:
    """Return what ``--help`` shows: every option with its meaning and its default."""
    groups: dict[str, list[str]] = {"options": [_entry(*each) for each in _WITHOUT_VALUE]}
    for setting in settings():
        groups.setdefault(setting.group, []).append(
            _entry(
                f"{flag(setting.name)} {setting.metavar}",
                f"{setting.meaning} (default: {default_text(setting)})",
            )
        )
    sections = ["\n".join([f"{title}:", *entries]) for title, entries in groups.items()]
    return "\n\n".join([_USAGE, *sections, _EXAMPLES])


def _entry(option: str, meaning: str) -> str:
    from textwrap import fill  # noqa: PLC0415 - a worker has no use for it

    head = f"  {option}"
    beside = len(head) < len(_INDENT) - 1
    text = fill(
        meaning,
        _WIDTH,
        initial_indent=head.ljust(len(_INDENT)) if beside else _INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )
    return text if beside else f"{head}\n{text}"
