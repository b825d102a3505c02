"""Generations in containers: docker compose makes a second one of the service ``server``.

It shares the volume of the sockets with the first. So ``docker compose ps``, ``logs`` and ``up`` go
on to know what serves.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bascule_ops.control.containers import IMAGE_PYTHON
from bascule_ops.control.output import warn
from bascule_ops.errors import CommandError
from bascule_ops.supervision.trial import HOLD_FILE

SERVICE: Final = "server"
KEPT: Final = 3  # images that are kept for going back to, by name
HOLD: Final = f"/run/supervisor/{HOLD_FILE}"
_SHOWN: Final = 15  # lines of the log, where the new workers fail
_HASH: Final = '{{index .Config.Labels "com.docker.compose.config-hash"}} {{.Image}}'


class ContainerSite:
    """The service of a compose project.

    Args:
        root: where the project is.
        environ: what compose finds settings in, beside .env.
        is_restart: the image that runs, with the settings that it runs with.
        build: make the image first.
        tag: of the image, where it is not the one that compose names.
        is_rollback: the image before the last deployment.
    """

    what = "the image"
    note = ""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        *,
        is_restart: bool = False,
        build: bool = False,
        tag: str = "",
        is_rollback: bool = False,
    ) -> None:
        self._root = root
        self._environ = environ
        self._is_restart = is_restart
        self._build = build
        self._tag = tag
        self._is_rollback = is_rollback
        self._old = self._new = ""
        self._image = self._before = self._running = self._chosen = ""

    def prepare(self) -> str:
        """See `replacement.Site`."""
        containers = self._containers()
        if not containers:
            raise CommandError("the server has no container; ops/up starts the stack")
        if len(containers) > 1:
            raise CommandError(
                "the server has more than one container, left over from a deployment that was "
                "killed: remove the one that does not serve (docker compose ps, docker rm --force)"
            )
        (self._old,) = containers
        # Not `config --images`, which names those that the service depends on as well.
        configuration = json.loads(self._compose("config", "--format", "json"))
        image = configuration["services"][SERVICE].get(
            "image", f"{configuration['name']}-{SERVICE}"
        )
        self._image = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
        self._running = _docker("inspect", "--format", "{{.Image}}", self._old)
        self._before = _image_id(self._image) or self._running
        if self._is_restart:
            self._chosen = self._running
        else:
            self._choose()
        return self._chosen[7:19]

    def _choose(self) -> None:
        """Give the image that is to serve its name."""
        repository, _, tag = self._image.rpartition(":")
        wanted = f"{tag}-previous" if self._is_rollback else self._tag
        if self._build:
            # Its image may be built on another service's (basculectl init).
            self._compose("build", "--quiet", "--with-dependencies", SERVICE)
        elif wanted:
            if not _image_id(f"{repository}:{wanted}"):
                words = "there is nothing to go back to" if self._is_rollback else "not deployed"
                raise CommandError(
                    f"{words}: there is no image {repository}:{wanted}; "
                    f"docker image ls {repository} lists them"
                )
            _docker("tag", f"{repository}:{wanted}", self._image)
        self._chosen = _image_id(self._image)
        if not self._chosen:
            raise CommandError(f"there is no image {self._image}; --build makes it")

    def start(self) -> str:
        """See `replacement.Site`."""
        environ = self._environ_that_runs() if self._is_restart else {}
        _docker("tag", self._chosen, self._image)
        try:
            self._compose(
                *("up", "--detach", "--no-build", "--no-deps", "--no-recreate"),
                *("--scale", f"{SERVICE}=2", SERVICE),
                environ=environ,
            )
        finally:
            if self._is_restart:  # whoever has built another one since still finds it
                _docker("tag", self._before, self._image)
        self._new = self._other_container()
        if not self._new:
            raise CommandError("docker compose made no second container")
        return self._new[:12]

    def _environ_that_runs(self) -> dict[str, str]:
        """The settings of the container that serves, where those of compose are others by now."""
        listed = json.loads(_docker("inspect", "--format", "{{json .Config.Env}}", self._old))
        runs = {name: value for name, _, value in (each.partition("=") for each in listed)}
        configuration = json.loads(self._compose("config", "--format", "json"))
        wanted = configuration["services"][SERVICE].get("environment") or {}
        there = {name: runs.get(name, "") for name in wanted}
        return {name: value for name, value in there.items() if value != (wanted[name] or "")}

    def try_new(self, limit: float | None) -> int:
        """See `replacement.Site`."""
        try:
            words = ("--timeout", f"{limit:g}") if limit else ()
            return len(self._trial(self._new, "try", *words).splitlines())
        except CommandError as error:
            done = _run("docker", "logs", "--tail", "40", self._new)
            lines = (done.stdout + done.stderr).splitlines()
            shown = [each for each in lines if '"event": "request"' not in each][-_SHOWN:]
            warn("\n  ".join(["The last lines of the new container's log:", *shown]))
            raise CommandError(f"the new container is not ready: {error}") from error

    def _trial(self, container: str, *words: str) -> str:
        module = "bascule_ops.supervision.trial"
        return _docker("exec", container, IMAGE_PYTHON, "-P", "-m", module, *words)

    def abandon(self) -> str:
        """See `replacement.Site`."""
        if not self._old:
            return "what served goes on"
        # An interrupt may have come between the container's start and our knowing of it.
        if new := self._new or self._other_container():
            _docker("rm", "--force", new)
        if self._before:
            _docker("tag", self._before, self._image)
        return f"container {self._old[:12]} serves"

    def take_over(self) -> None:
        """See `replacement.Site`."""
        # One of the old workers that is started again from now on must not take a socket back.
        _docker("exec", self._old, "sh", "-c", f": >{HOLD}")
        try:
            self._trial(self._new, "release")
        except CommandError as error:
            raise CommandError(
                f"the take-over is incomplete: {error}. Container {self._old[:12]} still serves "
                f"the rest; try again, or remove {self._new[:12]}"
            ) from error

    def tell_nginx(self) -> str:
        """See `replacement.Site`."""
        try:
            return self._compose("exec", "-T", "nginx", "/docker-entrypoint.sh", "reload")
        except CommandError as error:
            warn(f"nginx could not be reloaded ({error}): docker compose restart nginx")
            return "not reloaded"

    def retire(self) -> str:
        """See `replacement.Site`."""
        _docker("stop", self._old)
        status = _docker("inspect", "--format", "{{.State.ExitCode}}", self._old)
        _docker("rm", self._old)
        if not self._is_restart:
            self._name_images()
            self.note = self._note_on_nginx()
        return "" if status == "0" else f"exit status {status}: requests were cut short"

    def _name_images(self) -> None:
        """Let what is gone back to keep a name; older ones lose theirs, and go with it."""
        if self._running != self._chosen:
            _docker("tag", self._running, f"{self._image}-previous")
        now = datetime.now(UTC)
        _docker("tag", self._chosen, f"{self._image}-deployed-{now:%Y%m%d-%H%M%S}")
        named = f"reference={self._image}-deployed-*"
        names = _docker("image", "ls", "--filter", named, "--format", "{{.Repository}}:{{.Tag}}")
        for name in sorted(names.split(), reverse=True)[KEPT:]:
            with suppress(CommandError):
                _docker("image", "rm", name)

    def _note_on_nginx(self) -> str:
        """Tell of what cannot be done without a gap, and is not done."""
        container = self._compose("ps", "--quiet", "nginx")
        if not container:
            return ""
        runs = _docker("inspect", "--format", _HASH, container)
        name = _docker("inspect", "--format", "{{.Config.Image}}", container)
        wanted = self._compose("config", "--hash", "nginx").split()[-1]
        if runs == f"{wanted} {_image_id(name)}":
            return ""
        return (
            "Note: nginx's own settings or its image have changed as well. They need a new "
            "container of nginx, and\nfor about a second nobody answers on its port: "
            "docker compose up --detach --no-deps nginx"
        )

    def _containers(self) -> list[str]:
        return self._compose("ps", "--all", "--quiet", SERVICE).split()

    def _other_container(self) -> str:
        return next((each for each in self._containers() if each != self._old), "")

    def _compose(self, *words: str, environ: Mapping[str, str] | None = None) -> str:
        environ = {**self._environ, **(environ or {})}
        return _docker("compose", *words, directory=self._root, environ=environ)


def _image_id(name: str) -> str:
    """The id of an image; empty where there is none."""
    done = _run("docker", "image", "inspect", "--format", "{{.Id}}", name)
    return done.stdout.strip() if done.returncode == 0 else ""


def _docker(
    *words: str, directory: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """What docker prints. Raises `CommandError` with its words where it fails."""
    done = _run("docker", *words, directory=directory, environ=environ)
    if done.returncode:
        raise CommandError(done.stderr.strip() or f"docker {words[0]} failed")
    return done.stdout.strip()


def _run(
    *command: str, directory: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
