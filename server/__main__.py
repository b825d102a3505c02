"""``python -m server MODULE:CALLABLE``: arguments to configuration to a running server."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

from server import __version__, event_log
from server.config import (
    Config,
    ConfigError,
    build,
    default_text,
    flag,
    settings,
    variable,
)
from server.errors import StartError
from server.load import load_application
from server.worker import Worker

EXIT_CANNOT_START: Final = 1
EXIT_USAGE: Final = 2

_DESCRIPTION: Final = """\
Serves a WSGI application (PEP 3333) over HTTP/1.1.

Each option may be given in the environment as well: --max-requests is BASCULE_MAX_REQUESTS.
Sizes are in bytes and times in seconds unless an option says otherwise.
"""
_EXAMPLES: Final = """\
examples:
  bascule app.hello:application
  bascule --bind 0.0.0.0:8080 --threads 16 project.wsgi:application
  bascule --bind unix:/run/app.sock --access-logformat json app.wsgi:application

SIGTERM finishes what is in flight, then ends; SIGINT (Ctrl-C) also closes idle connections, and a
second one ends at once; SIGUSR1 reopens the access log.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error of the start."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bascule",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "application",
        metavar="MODULE:CALLABLE",
        nargs="?",
        help="the application, such as app.hello:application (BASCULE_APP)",
    )
    parser.add_argument("--version", action="version", version=f"bascule {__version__}")
    parser.add_argument(
        "--check-config",
        action="store_true",
        help="check the settings, load the application, and end without serving",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in settings():
        title = setting.group
        group = groups.setdefault(title, parser.add_argument_group(title))
        group.add_argument(
            flag(setting.name),
            dest=setting.name,
            action="append",
            metavar=setting.metavar,
            help=f"{setting.meaning} (default: {default_text(setting)})",
        )
    return parser


def _read_config(arguments: argparse.Namespace) -> Config:
    application = arguments.application or os.environ.get("BASCULE_APP", "")
    if not application:
        raise ConfigError(
            "no application given: name one, such as app.hello:application, or set BASCULE_APP"
        )
    flags = {each.name: getattr(arguments, each.name) or [] for each in settings()}
    return build(application, flags, os.environ)


def _debugging(argv: Sequence[str]) -> bool:
    """Return whether errors of the start come with a traceback, however far it has got."""
    text = " ".join(argv)
    return (
        "--log-level debug" in text
        or "--log-level=debug" in text
        or os.environ.get(variable("log_level")) == "debug"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    0: stopped as asked; 1: could not start, or requests were cut short; 2: wrong settings.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(argv)
        config = _read_config(arguments)
        event_log.configure(config.access_logformat, config.log_level, config.worker)
        if arguments.check_config:
            load_application(config.application)
            print(f"bascule: the configuration is good; {config.application} loads")  # noqa: T201
            return 0
        return Worker(config).run()
    except (ConfigError, StartError) as error:
        if _debugging(argv):
            traceback.print_exc()
        print(f"bascule: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
