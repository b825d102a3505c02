"""``basculectl up``: starts the stack and ends when it answers."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bascule_ops import address, program
from bascule_ops.address import Address, of_tls
from bascule_ops.control import machine, site
from bascule_ops.control.containers import EngineSilentError, NameTakenError, engine_answers
from bascule_ops.control.local_start import start
from bascule_ops.control.output import say, warn
from bascule_ops.control.project import Project, has_tls
from bascule_ops.control.replacing import cut_off
from bascule_ops.control.stack import Stack, find
from bascule_ops.errors import CommandError, Refused
from bascule_ops.logs import record
from bascule_ops.logs.source import Compose
from bascule_ops.settings import variables
from bascule_ops.settings.directories import check_run_dir

BROKEN: Final = 500  # and above: not what a stack answers that was just started either
_PAUSE: Final = 0.2
HELP: Final = "start the stack and wait until it answers"
DESCRIPTION: Final = """\
Starts what is missing of the stack, waits until it answers, and prints its address. Doing it again
is harmless.

Where a container engine answers and the project has a compose file, it does `docker compose up`. It
starts the images that are there, those of the last deployment, and makes only such as there are
none of. New code in the project is for `deploy --build`, which loses no request, or, where nothing
serves, for `up --build`.

Elsewhere it runs the same nginx configuration and the same workers right here (local mode), as the
user who calls it, with the code that is there.

The Procfile's release is run before anything starts; its other processes run beside the workers."""
EPILOG: Final = """\
Settings come from the environment and from the project's file .env.

Exit status 0: it answers. 1: it does not, and nothing is left running. 2: wrong arguments or
settings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        *("--docker",), action="store_const", const="docker", dest="mode",
        help="containers, or an error",
    )  # fmt: skip
    mode.add_argument(
        *("--local",), action="store_const", const="local", dest="mode",
        help="local mode, even where an engine runs",
    )  # fmt: skip
    parser.add_argument(
        "--build",
        action="store_true",
        help="containers: make the images first; what differs is stopped and started anew",
    )


def run(options: argparse.Namespace, project: Project) -> int:
    """Start the stack; return the exit status."""
    project.load_env()
    for name, near in variables.misspelt(os.environ):
        warn(f"{program.named('up')}: {name} is no setting; did you mean {near}?")
    variables.read(os.environ)
    variables.set_defaults(os.environ)
    _check_ports()
    stack = find(project)
    mode = _mode(stack, options.mode)
    if mode == "docker":
        _up_docker(stack, ("--build",) if options.build else ())
    elif options.build:
        raise Refused("--build is for containers; in local mode the code is the project's")
    else:
        _up_local(stack)
    if found := cut_off(stack):
        warn(f"{found['message']}; {program.spelled(found['remedy'])}")
    return 0


def _mode(stack: Stack, asked: str | None) -> str:
    """How it is to run: as it does already. Raises `CommandError` where that is not asked for."""
    local = stack.local
    if local.pid() or local.marker.exists():
        if asked == "docker":
            raise CommandError(
                f"it runs in local mode ({local.run_dir}), and beside that it would run twice: "
                f"{program.named('down')} first"
            )
        return "local"
    if asked == "local":
        with suppress(EngineSilentError, NameTakenError):  # then none of its own are known
            if stack.containers.run():
                raise CommandError(
                    "its containers run, and beside them it would run twice: "
                    f"{program.named('down')} first"
                )
    return asked or ("docker" if stack.containers.are_possible() else "local")


def _check_ports() -> None:
    """Refuse what neither way to run could publish, or would not say truthfully."""
    for name in ("HTTP_PORT", "HTTPS_PORT"):
        if wanted := os.environ.get(name):
            try:
                address.read(name, wanted)
            except ValueError as error:
                raise Refused(str(error)) from error


def _announce(url: str, status: int, status_port: str, tls: Address | None) -> None:
    """Say where it answers; the status page's port may be ``off``."""
    say(f"Bascule answers: {url} (status {status})")
    if status_port not in ("", "off"):
        say(f"Status page, for this machine only: http://localhost:{status_port}/-/status")
    if tls:
        say(f"With TLS: {tls.url(os.environ['HEALTH_PATH'], 'https')}")
    commands = [f"Log: {program.named('logs')} --follow", f"Stop: {program.named('down')}"]
    if program.prefix() == program.DOOR:
        commands.insert(1, "Restart: ops/restart")
    say("    ".join(commands))


def _first_failure(stack: Stack, since: datetime) -> str:
    """What a process in the containers wrote last before it failed; empty where none has."""
    with suppress(OSError):  # whose message stands there
        # The first: what comes later may have been stopped for it.
        for line in Compose(stack.project.root, stack.project.environ).lines(
            since.isoformat(), None
        ):
            if words := record.parsed(line).get("last_words"):
                return str(words[-1])
    return ""


def _up_docker(stack: Stack, build: tuple[str, ...]) -> None:
    if not engine_answers():
        raise CommandError(
            "no container engine answers, or it has no compose; "
            f"{program.named('up')} --local needs none"
        )
    containers = stack.containers
    if not containers.has_file():
        raise CommandError(
            f"there is no docker-compose.yml in {stack.project.root}; "
            f"{program.named('up')} --local needs none"
        )
    if os.environ.get("STATUS_PORT") == "off":
        raise Refused(
            'STATUS_PORT is "off": that is for local mode; with containers set it to a port, '
            "which is for this machine only"
        )
    if moved_from := containers.check_name():
        say(
            f"Note: its containers were started in {moved_from}, which is there no more; they are "
            "taken for this project's, which has moved."
        )
    began = datetime.now(UTC)
    if containers.compose("up", "--detach", "--wait", *build):
        words = _first_failure(stack, began)
        raise CommandError(
            f"docker compose could not start the stack{words and f': {words}'}; "
            f"see {program.named('logs')}"
            f"{machine.told_of(stack.project.root, *containers.wanted_ports())}"
        )
    at = containers.published(8080)
    if at is None:
        raise CommandError("nginx publishes no port; see docker compose ps")
    url = at.url(os.environ["HEALTH_PATH"])
    status = site.status_of(url)
    if status is None:
        raise CommandError(f"{url} does not answer; see {program.named('logs')}")
    inside = containers.published(8081)
    tls = containers.published(8443) if has_tls() else None
    _announce(url, status, str(inside.port) if inside else "off", tls)


def _up_local(stack: Stack) -> None:
    local = stack.local
    check_run_dir(str(local.run_dir))
    if pid := local.pid_before():
        raise CommandError(
            f"the stack of Bascule 0.1 still runs here (process {pid}): {program.named('down')} "
            "stops it (docs/upgrading.md)"
        )
    local.check_run_dir()
    if pid := local.pid():
        stack.check_place()
        url = _known_url(local.url_file, pid)
        status = site.status_of(url)
        if local.start_what_ended():
            status = _wait_for_answer(url)
        if status is None or status >= BROKEN:
            fault = "does not answer" if status is None else f"is answered with {status}"
            raise CommandError(
                f"it runs (process {pid}) but {url} {fault}; {program.named('status')} says why"
            )
        say("It runs already.")
        local.recall_settings()
        _announce(url, status, os.environ["NGINX_STATUS_PORT"], of_tls(os.environ))
        return
    if os.getuid() == 0:
        say("Note: as root, nginx and the workers run as root, too. An ordinary user will do.")
    url, status = start(stack)
    environ = os.environ
    if not environ.get("HTTP_PORT") and environ["NGINX_PORT"] != "80":
        say(
            f"Port 80 is taken or not allowed for this user, so it is port {environ['NGINX_PORT']}."
        )
    _announce(url, status, environ["NGINX_STATUS_PORT"], of_tls(environ))


def _wait_for_answer(url: str) -> int | None:
    """The status of the site once it answers; None where it does not in time."""
    say("Starting what had ended ...")
    deadline = time.monotonic() + variables.read(os.environ).start_timeout
    while (status := site.status_of(url)) is None and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return status


def _known_url(file: Path, pid: int) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise CommandError(
            f"it is being started just now (process {pid}); if not, "
            f"{program.named('down')} clears up"
        ) from error
