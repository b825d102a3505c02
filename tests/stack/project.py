"""One compose project: docker-compose.yml under a name and ports of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.harness.processes import ROOT

COMPOSE_FILE = "docker-compose.yml"
COMMAND_SECONDS = 240  # a cold build fetches packages
FACT_SECONDS = 30  # for something that must come true


class CommandError(Exception):
    """A command failed; the text is what it printed."""


def attempt(
    *command: str,
    environment: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the top directory, whatever its exit status will be."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the top directory and return its standard output.

    Raises:
        CommandError: it ended with a status other than 0.
    """
    ended = attempt(*command, environment=environment)
    if ended.returncode:
        raise CommandError(
            f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        )
    return ended.stdout


@dataclass
class Project:
    """A running stack; ports are those that the engine chose."""

    name: str
    image_tag: str
    settings: Mapping[str, str] = field(default_factory=dict)
    override: str | None = None
    profiles: tuple[str, ...] = ()
    more: tuple[str, ...] = ()  # files on top of the override

    @property
    def environment(self) -> dict[str, str]:
        """What compose reads instead of a developer's own .env."""
        return {
            "HTTP_PORT": "127.0.0.1:0",
            "BASELINE_PORT": "127.0.0.1:0",
            "STATUS_PORT": "0",
            # One build is for all projects of the tests.
            "IMAGE_NAME": "bascule",
            "IMAGE_TAG": self.image_tag,
            **self.settings,
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line of a `docker compose` subcommand."""
        files = [COMPOSE_FILE, *([self.override] if self.override else []), *self.more]
        return [
            "docker",
            "compose",
            "--env-file=/dev/null",
            f"--project-directory={ROOT}",
            f"--project-name={self.name}",
            *(f"--file={ROOT / each}" for each in files),
            *(f"--profile={each}" for each in self.profiles),
            *arguments,
        ]

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` for this project and return its standard output."""
        return run(*self.command(*arguments), environment=self.environment)

    def run_service(self, service: str) -> tuple[int, list[str]]:
        """Run a service's container until it ends; return its exit status and its lines."""
        ended = attempt(
            *self.command("run", "--rm", "-T", "--no-deps", service),
            environment=self.environment,
            stderr=subprocess.STDOUT,
        )
        return ended.returncode, ended.stdout.splitlines()

    def up(self) -> None:
        """Start it, and wait until every container is healthy."""
        try:
            self.compose("up", "--detach", "--wait", "--no-build")
        except CommandError as error:
            raise CommandError(f"{error}\n{self.compose('logs', '--no-color')}") from None

    def down(self) -> None:
        """Remove its containers, its network and its volume."""
        self.compose("down", "--volumes", "--timeout=5")

    def address(self, service: str = "nginx") -> tuple[str, int]:
        """Return the host and port at which a service is published."""
        host, _, port = self.compose("port", service, "8080").strip().rpartition(":")
        return host, int(port)

    def inner_address(self) -> tuple[str, int]:
        """Return nginx's own address: the way to it past the engine's port proxy."""
        (network,) = self.inspect("nginx")["NetworkSettings"]["Networks"].values()
        return network["IPAddress"], 8080

    def services(self) -> list[str]:
        """Return the names of the services whose containers run."""
        return sorted(self.compose("ps", "--services", "--status=running").split())

    def container(self, service: str) -> str:
        """Return the id of a service's container, running or not."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of a service's container."""
        (described,) = json.loads(run("docker", "inspect", self.container(service)))
        return dict(described)

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a service's container, as its user, and return its output."""
        return self.compose("exec", "-T", service, *command)

    def answers(self) -> bool:
        """Whether every worker answers now; what the engine knows of it is seconds old."""
        health = self.command("exec", "-T", "server", "basculectl", "health")
        return attempt(*health, environment=self.environment).returncode == 0

    def log_lines(self, service: str) -> list[str]:
        """Return what a service has written so far, to either stream."""
        # Not `docker compose logs`, which in some versions begins each line with an escape code.
        written = attempt("docker", "logs", self.container(service), stderr=subprocess.STDOUT)
        return written.stdout.splitlines()

    def events(self, service: str) -> list[dict[str, Any]]:
        """Return the lines of a service's log that are JSON objects."""
        return [json.loads(line) for line in self.log_lines(service) if line.startswith("{")]
