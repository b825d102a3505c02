"""Every setting of the server, in one frozen object that is validated once.

A setting comes from its flag, else from its environment variable (``BASCULE_`` and the flag's
name in upper case), else from the file of ``--config``, else from its default. Flags have
gunicorn's names and meanings where gunicorn has them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, dataclass_transform

from bascule import systemd

GIBIBYTE: Final = 1024 * 1024 * 1024

# What serves a chain file. By its name only: PEP 3333 is all that the server knows of the chain.
CHAIN_ENTRY: Final = "bascule_middleware.wsgi:application"

LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_SWITCHES: Final = {
    **{"on": True, "true": True, "yes": True, "1": True},
    **{"off": False, "false": False, "no": False, "0": False},
}


class ConfigError(Exception):
    """A setting is wrong; the message names the setting and the remedy."""


def _text(value: str) -> str:
    return value


def path(value: str) -> str:
    """Return a path that means the directory of the start, wherever the application goes."""
    return value if os.path.isabs(value) else os.path.join(os.getcwd(), value)


def _log_path(value: str) -> str:
    return value if value in ("-", "off") else path(value)


def _error_log_path(value: str) -> str:
    return value if value == "-" else path(value)


def _paths(value: str) -> tuple[str, ...]:
    return tuple(path(part.strip()) for part in value.split(",") if part.strip())


def _switch(value: str) -> bool:
    if value in _SWITCHES:
        return _SWITCHES[value]
    raise ValueError(f"must be one of {', '.join(_SWITCHES)}")


def _whole(minimum: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if value.isascii() and value.isdigit() and int(value) >= minimum:
            return int(value)
        raise ValueError(f"must be a whole number from {minimum} up")

    return parse


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan  # compares as false with everything


def _seconds(value: str) -> float:
    if 0 <= _number(value) < math.inf:
        return float(value)
    raise ValueError("must be a number of seconds from 0 up")


def _positive_seconds(value: str) -> float:
    if 0 < _number(value) < math.inf:
        return float(value)
    raise ValueError("must be a number of seconds above 0")


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value in choices:
            return value
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


def _addresses(value: str) -> tuple[str, ...]:
    return tuple(_address(part.strip()) for part in value.split(","))


def _address(address: str) -> str:
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest not in ("", "@", "//"):
        return address if rest.startswith("@") else f"unix:{path(rest.removeprefix('//'))}"
    address = address.removeprefix("tcp://")
    if address.isascii() and address.isdigit():
        address = f"127.0.0.1:{address}"
    elif address and not address.strip("0123456789."):
        address = f"{address}:8000"
    elif address.startswith(":"):
        address = f"0.0.0.0{address}"  # noqa: S104 - as it is asked for
    host, colon, port = address.rpartition(":")
    number = address.removeprefix("fd://")
    is_descriptor = number != address and number.isascii() and number.isdigit()
    is_host = bool(colon and host) and (":" not in host or host[:1] + host[-1:] == "[]")
    is_endpoint = is_host and port.isascii() and port.isdigit()
    if not (is_descriptor or (is_endpoint and int(port) <= 65535)):
        raise ValueError("must be HOST:PORT, :PORT, PORT, unix:PATH or fd://N")
    return address


class Setting(NamedTuple):
    """What there is to know of one setting.

    Attributes:
        name: of ``Config``'s attribute.
        default: what it is where nobody says anything.
        parse: from text to its value; raises ``ValueError``, which says what it must be.
        group: the heading that it stands under in the help text.
        metavar: its value's name in the help text; empty for a switch, which has none.
        meaning: the help text.
        also: other spellings of its flag.
    """

    name: str
    default: Any
    parse: Callable[[str], Any]
    group: str
    metavar: str
    meaning: str
    also: tuple[str, ...] = ()


def _setting(
    default: Any,
    parse: Callable[[str], Any],
    group: str,
    metavar: str,
    meaning: str,
    *also: str,
) -> Any:
    """Return what a class of settings has in its body; typed as what it is to become."""
    return Setting("", default, parse, group, metavar, meaning, also)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Frozen:
    """An immutable object with the attributes that the body of its class names, by keyword.

    For a type checker a frozen dataclass; ``dataclasses`` itself, with all that it imports, would
    be 1 MiB of every worker.
    """

    SETTINGS: ClassVar[tuple[Setting, ...]]
    _defaults: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        body = {name: value for name, value in vars(cls).items() if name in cls.__annotations__}
        cls.SETTINGS = tuple(
            value._replace(name=name) for name, value in body.items() if isinstance(value, Setting)
        )
        cls._defaults = body | {setting.name: setting.default for setting in cls.SETTINGS}

    def __init__(self, **given: Any) -> None:
        if unknown := given.keys() - self._defaults.keys():
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        for name, value in {**self._defaults, **given}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is settled")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, type(self)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


_SOCKETS: Final = "where it listens"
_CALLS: Final = "how it calls the application"
_DEADLINES: Final = "deadlines (seconds, fractions allowed)"
_LIMITS: Final = "limits on a request"
_LOGS: Final = "logs and what else it tells"
_PROCESS: Final = "the process"


class Config(_Frozen):
    """The server's settings; the meaning of each is its help text."""

    application: str = ""
    bind: tuple[str, ...] = _setting(
        ("127.0.0.1:8000",),
        _addresses,
        _SOCKETS,
        "ADDRESS",
        "HOST:PORT, :PORT (every IPv4 address), PORT (127.0.0.1), an IPv4 address (port 8000), "
        "unix:PATH, unix:@NAME (an abstract socket) or fd://N (an inherited listening socket); may "
        "be repeated; where nothing says it, systemd's sockets, else :$PORT, if there are any",
        "-b",
    )
    hold: str = _setting(
        "",
        path,
        _SOCKETS,
        "FILE",
        "while it is there, a unix socket that another process serves is not taken over",
    )
    backlog: int = _setting(
        2048, _whole(1), _SOCKETS, "N", "connections that may wait to be accepted"
    )
    worker_connections: int = _setting(
        0,
        _whole(0),
        _SOCKETS,
        "N",
        "connections that may be open; those that have waited longest for a request make room "
        "for new ones; 0: about seven eighths of the limit of open files",
    )
    threads: int = _setting(
        8, _whole(1), _CALLS, "N", "calls of the application that may run at the same time"
    )
    backlog_requests: int = _setting(
        512,
        _whole(0),
        _CALLS,
        "N",
        "requests that may wait while all --threads are taken; more: 503; 0: none",
    )
    max_requests: int = _setting(
        0, _whole(0), _CALLS, "N", "requests after which the process ends gracefully; 0: never"
    )
    max_requests_jitter: int = _setting(
        0, _whole(0), _CALLS, "N", "adds a random number up to this to --max-requests"
    )
    max_memory: int = _setting(
        0,
        _whole(0),
        _CALLS,
        "BYTES",
        "of resident memory, from nine tenths of which on the process ends gracefully; 0: no limit",
    )
    recycle_wait: float = _setting(
        0.0,
        _seconds,
        _CALLS,
        "SECONDS",
        "between two requests of a process to be replaced (it is past --max-requests or "
        "--max-memory, or calls hang): it serves on; 0: it ends by itself",
    )
    timeout: float = _setting(
        30.0,
        _seconds,
        _DEADLINES,
        "SECONDS",
        "that a call of the application may go on without a sign of progress: past it the call is "
        "logged with its stack, its client gets 504, and its thread is replaced; 0: none",
        "-t",
    )
    max_stream_duration: float = _setting(
        0.0,
        _seconds,
        _DEADLINES,
        "SECONDS",
        "that a response may be sent in pieces, before it is cut short; 0: no limit",
    )
    graceful_timeout: float = _setting(
        30.0, _seconds, _DEADLINES, "SECONDS", "for requests in flight, once asked to stop"
    )
    keep_alive: float = _setting(
        75.0,
        _positive_seconds,
        _DEADLINES,
        "SECONDS",
        "for the next request on an idle connection; keep it above the proxy's own",
    )
    head_timeout: float = _setting(
        10.0, _positive_seconds, _DEADLINES, "SECONDS", "for a request's head, from its first byte"
    )
    body_timeout: float = _setting(
        30.0, _positive_seconds, _DEADLINES, "SECONDS", "between two reads of a request's body"
    )
    write_timeout: float = _setting(
        30.0, _positive_seconds, _DEADLINES, "SECONDS", "for the client to take some of a response"
    )
    limit_request_line: int = _setting(
        4094, _whole(1), _LIMITS, "BYTES", "of the request line; longer: 414"
    )
    limit_request_fields: int = _setting(
        100, _whole(1), _LIMITS, "N", "fields of a request's head or trailer; more: 431"
    )
    limit_request_field_size: int = _setting(
        8190, _whole(1), _LIMITS, "BYTES", "of one field line; longer: 431"
    )
    limit_request_body: int = _setting(
        GIBIBYTE, _whole(0), _LIMITS, "BYTES", "of a request's body; longer: 413; 0: no limit"
    )
    access_logfile: str = _setting(
        "-", _log_path, _LOGS, "PATH", "a file (reopened on SIGUSR1), - for standard output, or off"
    )
    access_logformat: str = _setting(
        "combined",
        _one_of("json", "combined"),
        _LOGS,
        "FORMAT",
        "json or combined; with json the server's events are JSON too",
    )
    error_logfile: str = _setting(
        "-",
        _error_log_path,
        _LOGS,
        "PATH",
        "a file (reopened on SIGUSR1) for events and whatever else goes to standard error, or - "
        "for that itself",
        "--log-file",
    )
    log_config: str = _setting(
        "",
        path,
        _LOGS,
        "FILE",
        "loggers and handlers of the application's, as logging.config.fileConfig has them",
    )
    log_route: str = _setting(
        "",
        path,
        _LOGS,
        "DIR",
        "with what standard output (1) and standard error (2) lead to in the end, such as "
        "/proc/1/fd: lines of requests and of the application go straight there, past a "
        "supervisor that copies them",
    )
    log_level: str = _setting(
        "info", _one_of(*LOG_LEVELS), _LOGS, "LEVEL", f"of events: {', '.join(LOG_LEVELS)}"
    )
    worker: str = _setting("", _text, _LOGS, "NAME", "written into each line of the log")
    status_socket: str = _setting(
        "", path, _LOGS, "PATH", "a unix socket that tells what the process is doing, as JSON"
    )
    metrics_file: str = _setting(
        "", path, _LOGS, "PATH", "counts into this file, which all workers share and none outgrows"
    )
    pythonpath: tuple[str, ...] = _setting(
        (),
        _paths,
        _PROCESS,
        "DIR",
        "where to look for modules, after the working directory; may be repeated, or several with "
        "commas",
    )
    pid: str = _setting(
        "", path, _PROCESS, "FILE", "has the number of the process while that serves", "-p"
    )
    reload: bool = _setting(
        False,
        _switch,
        _PROCESS,
        "",
        "for development: start anew where a file of the application's or a template is saved, and "
        "show errors in the browser of this machine; no call is too long",
    )
    reload_extra_file: tuple[str, ...] = _setting(
        (), _paths, _PROCESS, "FILE", "--reload looks at this file too; may be repeated"
    )


def settings() -> Sequence[Setting]:
    """Return the settings that have a flag, in the order of the help text."""
    return Config.SETTINGS


def flag(name: str) -> str:
    """Return a setting's flag: ``--max-requests``; gunicorn's one odd spelling is kept."""
    if name == "limit_request_field_size":
        return "--limit-request-field_size"
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return a setting's environment variable: ``BASCULE_MAX_REQUESTS``."""
    return "BASCULE_" + name.upper()


def build(
    application: str,
    flags: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    file: Mapping[str, Sequence[str]] = MappingProxyType({}),
    sources: Mapping[str, str] = MappingProxyType({}),
) -> Config:
    """Return the configuration.

    Args:
        application: ``MODULE`` or ``MODULE:CALLABLE``.
        flags: what the command line gave, by the setting's name; the last of several counts,
            but each of a setting that is several.
        environment: the process's environment.
        file: what the file of --config gives; command line and environment go before it.
        sources: what to call each setting of the file in a message.

    Raises:
        ConfigError: a value is wrong.
    """
    values: dict[str, Any] = {}
    for setting in settings():
        name = setting.name
        if flags.get(name):
            given, source = _joined(setting, flags[name]), flag(name)
        elif environment.get(variable(name)):
            given, source = environment[variable(name)], variable(name)
        elif any(file.get(name, ())):
            given, source = _joined(setting, file[name]), sources[name]
        elif name == "bind" and (inherited := systemd.addresses(environment)):
            given, source = inherited, "LISTEN_FDS"
        elif name == "bind" and environment.get("PORT"):
            given, source = f":{environment['PORT']}", "PORT"
        else:
            continue
        try:
            values[name] = setting.parse(given)
        except ValueError as error:
            raise ConfigError(f"{source} {error}, not {given!r}") from None
    module, colon, callable_name = application.partition(":")
    if not module or (colon and not callable_name):
        raise ConfigError(
            f"the application must be MODULE or MODULE:CALLABLE, such as app.hello:application, "
            f"not {application!r}"
        )
    return Config(application=application, **values)


def _joined(setting: Setting, given: Sequence[str]) -> str:
    return ",".join(given) if isinstance(setting.default, tuple) else given[-1]


def default_text(setting: Setting) -> str:
    """Return a setting's default as it would be written on the command line."""
    default = setting.default
    if default == "":
        return "none"
    if isinstance(default, tuple):
        return ",".join(default) or "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default)


def as_toml(config: Config, workers: int, chain: str) -> str:
    """Return all settings as a file in TOML has them.

    Args:
        config: of each process.
        workers: how many there are to be.
        chain: the chain file, for where that is served.
    """
    import json  # noqa: PLC0415 - a worker has no use for it

    is_chain = chain and config.application == CHAIN_ENTRY
    served = {"chain": chain} if is_chain else {"application": config.application}
    values = {setting.name: getattr(config, setting.name) for setting in settings()}
    # JSON's strings, numbers, arrays and booleans are TOML's.
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in {**served, "workers": workers, **values}.items()
    )
