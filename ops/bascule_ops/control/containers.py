"""The stack in containers, by way of docker compose."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn, TypedDict

from bascule.version import __version__

from bascule_ops import address, procfile, program
from bascule_ops.address import Address
from bascule_ops.errors import CommandError
from bascule_ops.supervision.command import ENDED_BY_SIGNAL, PASSED_ON
from bascule_ops.supervision.trial import HOLD_FILE, TAKEN_FILE

# What runs Bascule's own programs in the server's image (server/Dockerfile).
IMAGE_PYTHON: Final = "/opt/bascule/ops/bin/python"
# As compose looks for them.
FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
SERVICE: Final = "server"
LABEL: Final = "com.docker.compose.project"  # its name
ONE_OFF: Final = "com.docker.compose.oneoff"  # True: `docker compose run` has made it
# Where it was started; a path may have a comma.
_STARTED: Final = re.compile(rf"(?:^|,){re.escape(LABEL)}\.working_dir=(.*?)(?=,[\w.-]+=|$)")
HOLD: Final = f"/run/supervisor/{HOLD_FILE}"  # in a container of the server
TAKEN: Final = f"/run/supervisor/{TAKEN_FILE}"
# Asks docker compose for the containers of the server; with JSON, as `listed` reads it.
SERVERS: Final = ("ps", "--all", SERVICE)
JSON: Final = ("--format", "json")
PROCESS: Final = "bascule.process"  # label of services that are the Procfile's: the name there
BESIDE: Final = f"-{SERVICE}-next"  # how the name of a container beside docker compose's ends
# The engine's states as supervisord has them.
_STATES: Final = {"restarting": "BACKOFF", "created": "STOPPED"}
LIMIT: Final = 3.0  # seconds for the engine to answer a question


@dataclass(frozen=True, slots=True)
class Server:
    """A container of the server.

    Attributes:
        id: its id.
        runs: whether it runs.
        is_beside: whether it is not the one that docker compose starts, but one that
            `bascule_ops.generations` has made beside that.
    """

    id: str
    runs: bool
    is_beside: bool


class Listed(TypedDict):
    """A container, as docker compose lists it; of the labels, ``NAME=VALUE,...``."""

    ID: str
    Name: str
    Project: str
    State: str
    Labels: str


def listed(text: str) -> list[Listed]:
    """What ``docker compose ps --format json`` says."""
    return list(map(json.loads, text.splitlines()))


def servers(found: Sequence[Listed]) -> list[Server]:
    """The containers of the server, from what docker compose lists.

    Of those that ``docker compose run`` has made, the one that `bascule_ops.generations` names; in
    others somebody's own commands run.
    """
    made = []
    for each in found:
        is_beside = f"{ONE_OFF}=True" in each["Labels"].split(",")
        if not is_beside or each["Name"].endswith(BESIDE):
            made.append(Server(each["ID"], each["State"] == "running", is_beside))
    return made


def of_procfile(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The services that are the Procfile's, by their names there; release is one of them."""
    found = {}
    for service, each in configuration["services"].items():
        if name := (each.get("labels") or {}).get(PROCESS):
            found[name] = service
    return found


def served_by(configuration: dict[str, Any], image: str) -> dict[str, Any]:
    """What compose makes of the project's files, with another image of the server's code."""
    for service in (SERVICE, *of_procfile(configuration).values()):
        configuration["services"][service]["image"] = image
    return configuration


def _without_release(configuration: dict[str, Any]) -> None:
    """Have the server not wait for the Procfile's release, so that compose does not run it."""
    release = of_procfile(configuration).get(procfile.RELEASE)
    configuration["services"][SERVICE].get("depends_on", {}).pop(release, None)


class EngineSilentError(CommandError):
    """The engine is there, and keeps silent."""


@cache
def engine_answers() -> bool:
    """Whether docker, with compose, has an engine here."""
    # The second asks nobody: it says whether there is compose. (``docker info`` would start every
    # plugin to ask for its version, which takes seconds where none has been read from the disk.)
    questions = (("version", "--format", "{{.Server.Version}}"), ("compose", "version"))
    return bool(shutil.which("docker")) and all(
        asked(("docker", *words)) is not None for words in questions
    )


class NameTakenError(CommandError):
    """The project's name is that of another directory, whose containers are there."""


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def asked(
    command: Sequence[str],
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> str | None:
    """What a command that asks the engine prints; None where it fails.

    Raises `EngineSilentError`, so that nobody waits for the next question's time as well.
    """
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineSilentError(
            f"the container engine does not answer within {LIMIT:g} s, so whether the stack runs "
            "there is not known"
        ) from error
    return done.stdout.strip() if done.returncode == 0 else None


class Containers:
    """The containers of the project in a directory.

    Its compose project is that of the directory's name, where nothing else is set; and so may be
    another directory's. Whatever asks for containers raises `NameTakenError` where these are there.

    Args:
        root: the directory.
        environ: what docker compose is started with.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._moved_from = ""
        self._name = ""

    def has_file(self) -> bool:
        """Whether compose is told there what to run; it would look in the directories above."""
        return bool(os.environ.get("COMPOSE_FILE")) or any(
            (self._root / each).exists() for each in FILES
        )

    def are_possible(self) -> bool:
        """Whether there is an engine, and something for it to run."""
        return self.has_file() and engine_answers()

    def run(self) -> bool:
        """Whether any of them runs."""
        return self._may_be_there() and bool(self._own("ps"))

    def check_name(self) -> str:
        """The directory where they were started, if it is there no more: this one, moved."""
        return self._moved_from if self._own("ps", "--all") else ""

    def _own(self, *words: str) -> list[Listed]:
        """What docker compose lists. Raises `NameTakenError` for containers of another."""
        found = listed(self.read(*words, *JSON) or "")
        if found:
            self._check_directory(found[0])
            self._name = found[0]["Project"]
        return found

    def _check_directory(self, container: Listed) -> None:
        match = _STARTED.search(container["Labels"])
        if match is None or _is_same(self._directory(), Path(match[1])):
            return
        if Path(match[1]).exists():
            raise NameTakenError(
                f'the containers of the compose project "{container["Project"]}" are those of '
                f"{match[1]}: set COMPOSE_PROJECT_NAME in .env here, to a name that no other "
                "directory has"
            )
        self._moved_from = match[1]

    def _directory(self) -> Path:
        """What docker compose takes for the project's: that of the first file."""
        files = os.environ.get("COMPOSE_FILE", "")
        separator = os.environ.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        return (self._root / files.split(separator)[0]).parent if files else self._root

    def configuration(self) -> dict[str, Any]:
        """What compose makes of the project's files. Raises `CommandError` where they are wrong."""
        found = self.read("config", "--format", "json")
        if found is None:
            raise CommandError("docker compose config fails here: its message says why")
        return dict(json.loads(found))

    def name(self) -> str:
        """The name of docker compose's project. Raises `CommandError` where its file is wrong."""
        return self._name or str(self.configuration()["name"])

    def server(self) -> str:
        """The id of the server's container whose workers serve; empty where none runs."""
        found = [each for each in self.servers if each.runs]
        for each in found:
            test = f"[ -e {TAKEN} ] && [ ! -e {HOLD} ]"
            if each.is_beside and asked(("docker", "exec", each.id, "sh", "-c", test)) is not None:
                return each.id
        return next((each.id for each in sorted(found, key=lambda each: each.is_beside)), "")

    def _may_be_there(self) -> bool:
        """Whether it makes sense to ask: who is asked says whether there is an engine."""
        return self.has_file() and bool(shutil.which("docker"))

    @cached_property
    def servers(self) -> list[Server]:
        """The server's containers, as they were when first asked for; none where none is told."""
        return servers(self._own(*SERVERS)) if self._may_be_there() else []

    def compose(self, *words: str, settings: Mapping[str, str] | None = None) -> int:
        """Run docker compose, which speaks for itself; return its exit status.

        `settings` go before all others.
        """
        sys.stdout.flush()
        command, environ = ["docker", "compose", *words], {**self._environ, **(settings or {})}
        done = subprocess.run(command, cwd=self._root, env=environ, check=False)
        return done.returncode

    def read(self, *words: str) -> str | None:
        """What docker compose prints; None where it fails."""
        return asked(("docker", "compose", *words), self._root, self._environ)

    def end_servers_beside(self) -> None:
        """Stop those that docker compose leaves alone, when nginx has finished its requests."""
        ids = [each.id for each in self.servers if each.is_beside]
        if ids:
            self.compose("stop", "nginx")
            for words in (("stop", *ids), ("rm", "--force", *ids)):
                subprocess.run(("docker", *words), stdout=subprocess.DEVNULL, check=False)

    def published(self, inside: int) -> Address | None:
        """The address of this machine at which nginx's port `inside` is published."""
        found = self.read("port", "nginx", str(inside))
        return address.published(found) if found else None

    def wanted_ports(self) -> list[int]:
        """The ports of this machine that nginx is to have, by docker compose's files."""
        ports: list[dict[str, Any]] = []
        with suppress(CommandError):  # docker compose has said why
            ports = self.configuration()["services"].get("nginx", {}).get("ports", [])
        return [int(each["published"]) for each in ports if each["published"].isdecimal()]

    def become(self, command: str, *words: str, terminal: tuple[str, ...] = ()) -> NoReturn:
        """Become the same command in the server's container; `terminal`: what its options are."""
        server = self.server()
        if not server:
            raise CommandError(
                f"the container of server does not run: {program.named('status')} says more"
            )
        caller = {program.VARIABLE: program.prefix(), program.CALLER: __version__}
        told = (word for name, value in caller.items() for word in ("--env", f"{name}={value}"))
        sys.stdout.flush()
        prefix = ("docker", "exec", "--interactive", *terminal, *told, server)
        program_words = (IMAGE_PYTHON, "-P", "-m", "bascule_ops", command, *words)
        os.execvp("docker", [*prefix, *program_words])  # noqa: S606 (no shell is wanted)

    def run_one_off(self, words: Sequence[str]) -> int:
        """Run a command in a container of its own, of the image that serves; return its status.

        docker compose would leave the container alone where a signal ends it.
        """
        configuration = self.configuration()
        if SERVICE not in configuration["services"]:
            raise CommandError(f"no service of this project is called {SERVICE}")
        options = ["--rm"]
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            options.append("-T")
        if server := self.server():
            image = asked(("docker", "inspect", "--format", "{{.Image}}", server))
            served_by(configuration, str(image))
            options.append("--no-deps")
        else:
            _without_release(configuration)
        name = f"{configuration['name']}-{SERVICE}-run-{secrets.token_hex(4)}"
        # Standard input is the command's, so the configuration is in memory, which leaves no trace
        # of secrets.
        file = os.memfd_create("compose.json")
        os.write(file, json.dumps(configuration).encode())
        place = f"/proc/{os.getpid()}/fd/{file}"
        prefix = ("docker", "compose", "--project-directory", str(self._root), "--file", place)
        sys.stdout.flush()
        process = subprocess.Popen(
            (*prefix, "run", "--name", name, *options, SERVICE, *words),
            env=self._environ,
            start_new_session=True,  # Ctrl-C is for the command
        )

        def pass_on(number: int, _frame: FrameType | None) -> None:
            words = ("docker", "kill", "--signal", str(number), name)
            if subprocess.run(words, capture_output=True, check=False).returncode:
                process.send_signal(number)  # it has not begun

        for number in PASSED_ON:
            signal.signal(number, pass_on)
        signal.signal(signal.SIGWINCH, lambda number, _: process.send_signal(number))
        status = process.wait()
        return status if status >= 0 else ENDED_BY_SIGNAL - status

    def processes(self) -> list[dict[str, Any]]:
        """The containers of what the Procfile has, as the snapshot tells of processes."""
        mine = (f"label={LABEL}={self.name()}", f"label={PROCESS}")
        filters = [word for each in mine for word in ("--filter", each)]
        ids = (asked(("docker", "ps", "--all", "--quiet", *filters)) or "").split()
        if not ids:
            return []
        listed = json.loads(asked(("docker", "inspect", *ids)) or "[]")
        found = (process(each["Config"]["Labels"], each) for each in listed)
        return sorted(filter(None, found), key=lambda each: each["name"])

    def ended(self) -> str:
        """What the engine knows of all of them, as `bascule_ops.observe.absent` reads it."""
        ids = [each["ID"] for each in self._own("ps", "--all")]
        if not ids:
            return ""
        facts = (
            '{{index .Config.Labels "com.docker.compose.service"}}',
            *("{{.State.Status}}", "{{.State.ExitCode}}"),
            *("{{.State.OOMKilled}}", "{{.State.FinishedAt}}"),
        )
        return asked(("docker", "inspect", "--format", " ".join(facts), *ids)) or ""


def process(labels: Mapping[str, str], inspected: Mapping[str, Any]) -> dict[str, Any] | None:
    """A process of the Procfile, by what the engine tells of its container; None for others."""
    if labels.get(ONE_OFF) == "True" or labels[PROCESS] == procfile.RELEASE:
        return None
    state = inspected["State"]
    runs = state["Status"] == "running"
    since = state["StartedAt" if runs else "FinishedAt"][:19] + "Z"
    ago = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    ended = state["Status"] in ("exited", "dead")
    return {
        "name": f"{labels[PROCESS]}.{labels['com.docker.compose.container-number']}",
        "state": _STATES.get(state["Status"], state["Status"].upper()),
        "pid": None,
        "since": since,
        "uptime_s": max(0, int(ago)) if runs else 0,
        "exit_status": state["ExitCode"] if ended else None,
        "last_error": None,
        "recent_failures": 0,
        "recent_ends": [],
        "restarts": inspected["RestartCount"],
    }


def are_inside() -> bool:
    """Whether this process is in the server's container, beside its supervisord."""
    socket = Path(os.environ.get("SUPERVISOR_DIR", "/run/supervisor"), "supervisor.sock")
    return os.environ.get("RUN_DIR", "/run/bascule") == "/run/bascule" and socket.is_socket()
