"""The command ``bascule``: arguments to configuration to a running server."""

from __future__ import annotations

import os
import sys
import traceback
from _thread import start_new_thread
from collections.abc import Mapping, Sequence
from time import sleep
from typing import Final

from bascule import cli, streams
from bascule.config import CHAIN_ENTRY, Config, ConfigError, as_toml, build, path, variable
from bascule.engine.signals import StopWhileLoading
from bascule.errors import LoadError, StartError
from bascule.told import event_log
from bascule.version import __version__
from bascule.worker import EXIT_CUT_SHORT, SHORTEST_EXIT, Worker
from bascule.wsgi.load import check_library, explain, load_application, may_load_later

EXIT_USAGE: Final = 2
EXIT_CANNOT_START: Final = 3
EXIT_CANNOT_LOAD: Final = 4
EXIT_CANNOT_LOAD_YET: Final = 75  # EX_TEMPFAIL (sysexits.h): whoever starts it may try again
EXIT_INTERRUPTED: Final = 130  # as a shell has it

_THEIRS: Final = "GUNICORN_CMD_ARGS"


def _read_config(arguments: cli.Arguments) -> tuple[Config, int]:
    """Return the settings, and how many processes are to have them."""
    file = arguments.last("config") and path(arguments.last("config"))
    _enter(arguments.last("chdir"), "--chdir")
    _set_variables(arguments.flags)
    given: dict[str, list[str]] = {}
    sources: dict[str, str] = {}
    if file:
        from bascule.settings_file import SettingsFile  # noqa: PLC0415 - most workers have none

        found = SettingsFile(file)
        for note in found.notes:
            _tell(note)
        given, sources = found.flags, found.sources
        if not arguments.last("chdir"):
            _enter(found.last("chdir"), sources.get("chdir", ""))
        _set_variables(given)
    if os.environ.get(_THEIRS) and "SUPERVISOR_ENABLED" not in os.environ:
        _tell(f"{_THEIRS} is not read: give {os.environ.pop(_THEIRS)!r} on the command line")
    config = build(_application(arguments, given), arguments.flags, os.environ, given, sources)
    return config, _workers(arguments.last("workers"), given.get("workers", [""])[-1], sources)


def _tell(text: str) -> None:
    print(f"bascule: {text}", file=sys.stderr)  # noqa: T201


def _workers(given: str, of_file: str, sources: Mapping[str, str]) -> int:
    """Return how many processes there are to be.

    WEB_CONCURRENCY is what platforms set for whoever starts them all; each of them has it, too.
    """
    value, source = "1", ""
    if given:
        value, source = given, "--workers"
    elif of_file:
        value, source = of_file, sources["workers"]
    elif "SUPERVISOR_ENABLED" not in os.environ and os.environ.get("WEB_CONCURRENCY"):
        value, source = os.environ["WEB_CONCURRENCY"], "WEB_CONCURRENCY"
    if value.isascii() and value.isdigit() and int(value):
        return int(value)
    raise ConfigError(f"{source} must be a whole number from 1 up, not {value!r}")


def _enter(directory: str, source: str) -> None:
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ConfigError(f"{source} {directory}: {error.strerror}") from error


def _set_variables(flags: Mapping[str, Sequence[str]]) -> None:
    for given in flags.get("env", ()):
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise ConfigError(f"--env must be NAME=VALUE, not {given!r}")
        os.environ[name] = value
    for file in flags.get("env_file", ()):
        from pathlib import Path  # noqa: PLC0415 - most workers have no use for it

        from bascule import env_file  # noqa: PLC0415 - as above

        if not os.path.isfile(file):
            raise ConfigError(f"--env-file: {file} is no file")
        try:
            found = env_file.read(Path(file), os.environ)
        except OSError as error:
            raise ConfigError(f"--env-file: cannot read {file}: {error.strerror}") from error
        for name, value in found.items():
            os.environ.setdefault(name, value)


def lead_logs(config: Config) -> None:
    """Have the log written where and as the settings say.

    Raises:
        StartError: its file cannot be written.
        ConfigError: ``--log-config`` is wrong.
    """
    if config.error_logfile != "-":
        try:
            streams.lead(streams.STDERR, config.error_logfile)
        except OSError as error:
            raise StartError(
                f"cannot write the error log {config.error_logfile}: {error.strerror}"
            ) from error
    event_log.configure(config.access_logformat, config.log_level, config.worker)
    if config.log_config:
        import logging.config  # noqa: PLC0415 - most workers have no use for it

        try:
            logging.config.fileConfig(config.log_config, disable_existing_loggers=False)
        # It imports and calls what the file names.
        except Exception as error:
            reason = " ".join(str(error).split()) or "no reason given"
            text = f"--log-config {config.log_config}: {type(error).__name__}: {reason}"
            raise ConfigError(text) from error


def _application(arguments: cli.Arguments, file: Mapping[str, Sequence[str]]) -> str:
    """Return what is to be served; with a chain, the chain's entry, which reads BASCULE_CHAIN."""
    environ = os.environ
    application, chain = arguments.application, arguments.last("chain")
    if application and chain:
        raise ConfigError(
            f"--chain {chain} and {application} exclude each other: "
            "the chain file names its application"
        )
    if chain:
        environ["BASCULE_CHAIN"] = chain
        return CHAIN_ENTRY
    if application:
        return application
    if application := environ.get("BASCULE_APP", ""):
        return application
    if environ.get("BASCULE_CHAIN"):
        return CHAIN_ENTRY
    if application := file.get("application", [""])[-1]:
        return application
    if chain := file.get("chain", [""])[-1]:
        environ["BASCULE_CHAIN"] = chain
        return CHAIN_ENTRY
    raise ConfigError(
        "no application given: name one, such as app.hello:application, or a chain file "
        "with --chain, or set BASCULE_APP or BASCULE_CHAIN"
    )


def _debugging(argv: Sequence[str]) -> bool:
    """Return whether errors of the start come with a traceback, however far it has got."""
    text = " ".join(argv)
    return (
        "--log-level debug" in text
        or "--log-level=debug" in text
        or os.environ.get(variable("log_level")) == "debug"
    )


def _check(config: Config, workers: int, *, shows: bool) -> int:
    chain = os.environ.get("BASCULE_CHAIN", "")
    if shows:
        print(as_toml(config, workers, chain), end="", flush=True)  # noqa: T201
        # What the application prints is no setting.
        os.dup2(streams.STDERR, streams.STDOUT)
    loading = StopWhileLoading(lambda: None, EXIT_CUT_SHORT)
    loading.watch()
    load_application(config.application, config.pythonpath)
    check_library(config.application)
    loading.end()
    if not shows:
        print(f"bascule: the configuration is good; {config.application} loads")  # noqa: T201
    if chain and config.application == os.environ.get("BASCULE_APP") != CHAIN_ENTRY:
        text = "BASCULE_APP goes before BASCULE_CHAIN, so it is served without "
        _tell(f"{text}the chain {chain}")
    return 0


def _status(error: ConfigError | StartError, arguments: cli.Arguments) -> int:
    if isinstance(error, ConfigError):
        return EXIT_USAGE
    if not isinstance(error, LoadError):
        return EXIT_CANNOT_START
    # Bascule's own stack holds workers back, and knows what to make of it.
    is_of_stack = bool(arguments.last("hold"))
    return EXIT_CANNOT_LOAD_YET if is_of_stack and may_load_later(error) else EXIT_CANNOT_LOAD


def _leave(code: int) -> int:
    """End a process that has loaded an application and not served; return the exit code.

    The interpreter waits at its end for threads that the application has started.
    """

    def leave() -> None:
        sleep(SHORTEST_EXIT)  # as it was before an application could replace it
        os._exit(code)

    streams.flush()
    # None of threading's: the application may have set a trace function for those.
    start_new_thread(leave, ())
    return code


def _run(arguments: cli.Arguments) -> int:
    if not arguments.switches.isdisjoint(cli.HELP):
        print(cli.help_text())  # noqa: T201
        return 0
    if not arguments.switches.isdisjoint(cli.VERSION):
        print(f"bascule {__version__}")  # noqa: T201
        return 0
    config, workers = _read_config(arguments)
    lead_logs(config)
    if not arguments.switches.isdisjoint((cli.CHECK, cli.PRINT)):
        return _leave(_check(config, workers, shows=cli.PRINT in arguments.switches))
    if config.reload:
        from bascule import reload  # noqa: PLC0415 - most workers have no use for it

        return reload.run(config)
    if workers > 1:
        from bascule import several  # noqa: PLC0415 - a worker has no use for it

        return several.run(config, workers)
    return Worker(config).run()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    0: stopped as asked; 1: requests, or a check, were cut short; 2: wrong settings; 3: it cannot
    start; 4: the application cannot be loaded; 75: nor can this one, but what it needs may come
    (with --hold); 130: interrupted before it served.
    """
    argv = sys.argv[1:] if argv is None else argv
    streams.secure()
    arguments = cli.Arguments()
    try:
        arguments = cli.parse(argv)
        return _run(arguments)
    except (ConfigError, StartError) as error:
        if _debugging(argv):
            traceback.print_exc()
        elif isinstance(error, LoadError):
            print(explain(error), end="", file=sys.stderr)  # noqa: T201
        _tell(str(error))
        return _leave(_status(error, arguments))
    except KeyboardInterrupt:  # before it serves; after that the server hears of it
        _tell("interrupted while the application was loaded")
        return EXIT_INTERRUPTED
