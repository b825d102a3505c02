"""The command line: what was given, and what ``--help`` answers.

This is short; ``argparse`` would be half a megabyte of each worker for as long as it serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bascule.config import ConfigError, Setting, default_text, flag, settings

APPLICATION: Final = "MODULE[:CALLABLE]"
HELP: Final = ("-h", "--help")
VERSION: Final = ("-v", "--version")
CHECK: Final = "--check-config"
PRINT: Final = "--print-config"
_SWITCHES: Final = (*HELP, *VERSION, CHECK, PRINT)

_USAGE: Final = f"""\
usage: bascule [OPTION VALUE]... {APPLICATION}
       bascule [OPTION VALUE]... --chain FILE

Serves a WSGI application (PEP 3333) over HTTP/1.1.

Each setting below the options may be given in the environment as well: --max-requests is
BASCULE_MAX_REQUESTS. Sizes are in bytes and times in seconds unless an option says otherwise."""
_EXAMPLES: Final = """\
examples:
  bascule app.hello:application
  bascule --bind 0.0.0.0:8080 --threads 16 project.wsgi:application
  bascule --bind unix:/run/app.sock --access-logformat json --chain chain.toml
  bascule --reload app.hello:application

SIGTERM finishes what is in flight, then ends; SIGINT (Ctrl-C) also closes idle connections, and a
second one ends at once; SIGUSR1 reopens the logs."""
# What is no setting of a server, but of how one is started; by the name of each.
_OF_THE_START: Final = {
    "config": ("-c", "--config"),
    "workers": ("-w", "--workers"),
    "chain": ("--chain",),
    "chdir": ("--chdir",),
    "env": ("-e", "--env"),
    "env_file": ("--env-file",),
}
_OPTIONS: Final = (
    (
        APPLICATION,
        "the application, such as app.hello:application or 'shop:create_app(\"prod\")' "
        "(BASCULE_APP); of a module alone its application, app, create_app() or make_app()",
    ),
    (
        "--chain FILE",
        "in its place a chain file, which names the application and its middleware "
        "links (BASCULE_CHAIN)",
    ),
    (
        "-c, --config FILE",
        "settings by their names, in TOML, or a gunicorn.conf.py; options and the environment "
        "go before it",
    ),
    (
        "-w, --workers N",
        "processes that share the address, under supervisor; by default $WEB_CONCURRENCY, else 1",
    ),
    ("--chdir DIR", "be there, before anything else: relative paths are seen from there"),
    ("-e, --env NAME=VALUE", "set a variable of the environment; may be repeated"),
    (
        "--env-file FILE",
        "set those of this file, read as compose reads .env; what is set already stays",
    ),
    (", ".join(HELP), "show this text and end"),
    (", ".join(VERSION), "show the version and end"),
    (CHECK, "check the settings, load the application, and end without serving"),
    (PRINT, "do that, and show all settings as TOML"),
)
_WIDTH: Final = 80
_INDENT: Final = " " * 24


class Arguments:
    """What a command line says.

    Attributes:
        application: ``MODULE[:CALLABLE]``; empty where it is not named.
        flags: what was given for each option with a value, by its name, in order.
        switches: of the options without a value, those that were given.
    """

    def __init__(self) -> None:
        self.application = ""
        self.flags: dict[str, list[str]] = {}
        self.switches: set[str] = set()

    def last(self, name: str) -> str:
        """Return what was given last for an option; empty where nothing was."""
        return self.flags.get(name, [""])[-1]


def parse(argv: Sequence[str]) -> Arguments:
    """Return what the arguments say: ``--option value`` or ``--option=value``, in any order.

    Raises:
        ConfigError: an option is unknown or lacks its value, or there is too much.
    """
    names = {each: name for name, spellings in _OF_THE_START.items() for each in spellings}
    without_value: dict[str, str] = {}
    for setting in settings():
        known = names if setting.metavar else without_value
        known |= dict.fromkeys(_spellings(setting), setting.name)
    found = Arguments()
    rest = iter(argv)
    for argument in rest:
        option, value = _parted(argument)
        if argument in _SWITCHES:
            found.switches.add(argument)
        elif argument in without_value:
            found.flags[without_value[argument]] = ["on"]
        elif option in names:
            value = _next(option, rest) if value is None else value
            found.flags.setdefault(names[option], []).append(value)
        elif argument.startswith("-") or found.application:
            raise ConfigError(_unrecognized(argument, option))
        else:
            found.application = argument
    return found


def _unrecognized(argument: str, option: str) -> str:
    from bascule.gunicorn import answer  # noqa: PLC0415 - most workers have no use for it

    if text := answer(option):
        return f"{option} is {text}"
    return f"unrecognized arguments: {argument} (see --help)"


def _parted(argument: str) -> tuple[str, str | None]:
    """Return an option and its value, where that is in the same argument: ``-b:80``, ``-b=:80``."""
    if argument[:1] == "-" != argument[1:2] and len(argument) > 2:
        return argument[:2], argument[2:].removeprefix("=")
    option, has_value, value = argument.partition("=")
    return option, value if has_value else None


def _next(option: str, rest: Iterator[str]) -> str:
    value = next(rest, "--")
    if value.startswith("--"):  # the next option, most likely
        raise ConfigError(f"argument {option}: expected one argument (see --help)")
    return value


def _spellings(setting: Setting) -> list[str]:
    """Return a setting's flags, the short ones first."""
    return sorted([*setting.also, flag(setting.name)], key=lambda each: each.startswith("--"))


def help_text() -> str:
    """Return what ``--help`` shows: every option with its meaning and its default."""
    groups: dict[str, list[str]] = {"options": [_entry(*each) for each in _OPTIONS]}
    for setting in settings():
        groups.setdefault(setting.group, []).append(
            _entry(
                f"{', '.join(_spellings(setting))} {setting.metavar}".rstrip(),
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
