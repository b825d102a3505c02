"""The stack in containers, by way of docker compose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NoReturn

from bascule_ops import address, program
from bascule_ops.address import Address
from bascule_ops.errors import CommandError
from bascule_ops.supervision.trial import HOLD_FILE, TAKEN_FILE

# What runs Bascule's own programs in the server's image (server/Dockerfile).
IMAGE_PYTHON: Final = "/opt/bascule/ops/bin/python"
# As compose looks for them.
FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
SERVICE: Final = "server"
HOLD: Final = f"/run/supervisor/{HOLD_FILE}"  # in a container of the server
TAKEN: Final = f"/run/supervisor/{TAKEN_FILE}"
# Asks docker compose for the containers of the server, as `servers` reads it.
SERVERS: Final = ("ps", "--all", "--format", "json", SERVICE)
BESIDE: Final = f"-{SERVICE}-next"  # how the name of a container beside docker compose's ends
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


def servers(listed: str) -> list[Server]:
    """The containers of the server, from what docker compose lists.

    Of those that ``docker compose run`` has made, the one that `bascule_ops.generations` names; in
    others somebody's own commands run.
    """
    found = []
    for each in map(json.loads, listed.splitlines()):
        is_beside = "com.docker.compose.oneoff=True" in each["Labels"].split(",")
        if not is_beside or each["Name"].endswith(BESIDE):
            found.append(Server(each["ID"], each["State"] == "running", is_beside))
    return found


class EngineSilentError(CommandError):
    """The engine is there, and keeps silent."""


@cache
def engine_answers() -> bool:
    """Whether docker, with compose, has an engine here."""
    # The second asks nobody: it says whether there is compose. (``docker info`` would start every
    # plugin to ask for its version, which takes seconds where none has been read from the disk.)
    questions = (("version", "--format", "{{.Server.Version}}"), ("compose", "version"))
    return bool(shutil.which("docker")) and all(
        _asked(("docker", *words)) is not None for words in questions
    )


def _asked(command: Sequence[str], directory: Path | None = None) -> str | None:
    """What a command that asks the engine prints; None where it fails.

    Raises `EngineSilentError`, so that nobody waits for the next question's time as well.
    """
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise EngineSilentError(
            f"the container engine does not answer within {LIMIT:g} s, so whether the stack runs "
            "there is not known"
        ) from error
    return done.stdout.strip() if done.returncode == 0 else None


class Containers:
    """The containers of the project in a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

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
        return self._may_be_there() and bool(self.read("ps", "--quiet"))

    def name(self) -> str:
        """The name of docker compose's project. Raises `CommandError` where its file is wrong."""
        found = self.read("config", "--format", "json")
        if found is None:
            raise CommandError("docker compose config fails here: its message says why")
        return str(json.loads(found)["name"])

    def server(self) -> str:
        """The id of the server's container whose workers serve; empty where none runs."""
        found = [each for each in self.servers if each.runs]
        for each in found:
            test = f"[ -e {TAKEN} ] && [ ! -e {HOLD} ]"
            if each.is_beside and _asked(("docker", "exec", each.id, "sh", "-c", test)) is not None:
                return each.id
        return next((each.id for each in sorted(found, key=lambda each: each.is_beside)), "")

    def _may_be_there(self) -> bool:
        """Whether it makes sense to ask: who is asked says whether there is an engine."""
        return self.has_file() and bool(shutil.which("docker"))

    @cached_property
    def servers(self) -> list[Server]:
        """The server's containers, as they were when first asked for; none where none is told."""
        return servers(self.read(*SERVERS) or "") if self._may_be_there() else []

    def compose(self, *words: str) -> int:
        """Run docker compose, which speaks for itself; return its exit status."""
        sys.stdout.flush()
        done = subprocess.run(["docker", "compose", *words], cwd=self._root, check=False)
        return done.returncode

    def read(self, *words: str) -> str | None:
        """What docker compose prints; None where it fails."""
        return _asked(("docker", "compose", *words), self._root)

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

    def become(self, command: str, *words: str, terminal: tuple[str, ...] = ()) -> NoReturn:
        """Become the same command in the server's container; `terminal`: what its options are."""
        server = self.server()
        if not server:
            raise CommandError(
                f"the container of server does not run: {program.named('status')} says more"
            )
        door = f"{program.VARIABLE}={program.prefix()}"
        sys.stdout.flush()
        prefix = ("docker", "exec", "--interactive", *terminal, "--env", door, server)
        program_words = (IMAGE_PYTHON, "-P", "-m", "bascule_ops", command, *words)
        os.execvp("docker", [*prefix, *program_words])  # noqa: S606 (no shell is wanted)

    def ended(self) -> str:
        """What the engine knows of all of them, as `bascule_ops.observe.absent` reads it."""
        ids = (self.read("ps", "--all", "--quiet") or "").split()
        if not ids:
            return ""
        facts = (
            '{{index .Config.Labels "com.docker.compose.service"}}',
            *("{{.State.Status}}", "{{.State.ExitCode}}"),
            *("{{.State.OOMKilled}}", "{{.State.FinishedAt}}"),
        )
        return _asked(("docker", "inspect", "--format", " ".join(facts), *ids)) or ""


def are_inside() -> bool:
    """Whether this process is in the server's container, beside its supervisord."""
    socket = Path(os.environ.get("SUPERVISOR_DIR", "/run/supervisor"), "supervisor.sock")
    return os.environ.get("RUN_DIR", "/run/bascule") == "/run/bascule" and socket.is_socket()
