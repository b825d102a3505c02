"""Generations in containers: the new one begins in a container beside docker compose's.

Of two containers of a service ``docker compose up`` stops one, which may be the one that serves; it
leaves alone what ``docker compose run`` has made. So a new generation is tried, and serves, in such
a container beside the service's. Only then its image gets the name that compose starts, the
service's container is made of it, and takes the sockets over in its turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bascule_ops.control.containers import (
    BESIDE,
    HOLD,
    IMAGE_PYTHON,
    JSON,
    SERVERS,
    SERVICE,
    TAKEN,
    Server,
    listed,
    of_procfile,
    served_by,
    servers,
)
from bascule_ops.control.output import say, warn
from bascule_ops.errors import CommandError
from bascule_ops.generations.replacement import Left
from bascule_ops.procfile import RELEASE
from bascule_ops.program import named

KEPT: Final = 3  # images that are kept for going back to, by name
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
        has_release: the Procfile's release is run first.
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
        has_release: bool = False,
    ) -> None:
        self._root = root
        self._environ = environ
        self._is_restart = is_restart
        self._build = build
        self._tag = tag
        self._is_rollback = is_rollback
        self._has_release = has_release
        self._name = ""  # the image's that compose starts
        self._old = self._new = self._chosen = ""

    def _serving(self) -> str:
        """The service's container that may serve; empty where there is none."""
        ids = [each.id for each in self._servers() if not each.is_beside]
        return next((each for each in ids if not _has(each, HOLD)), ids[0] if ids else "")

    def left(self) -> Left | None:
        """See `replacement.Site`."""
        self._old = self._serving()
        others = [each for each in self._servers() if each.id != self._old]
        if not others:
            return None
        # Where compose's own is there as well, that is the one to be made once more.
        beside = next((each.id for each in others if each.is_beside), others[0].id)
        self._new = beside
        has_taken_over = _has_taken_over(beside)
        serves, other = (beside, self._old) if has_taken_over else (self._old, beside)
        return Left("container", serves[:12], other[:12], has_taken_over)

    def prepare(self) -> str:
        """See `replacement.Site`."""
        self._old = self._serving()
        if not self._old:
            raise CommandError(f"the server has no container; {named('up')} starts it")
        self._chosen = _image(self._old) if self._is_restart else self._choose()
        return self._chosen[7:19]

    def _choose(self) -> str:
        """The image that is to serve."""
        repository, _, tag = self._image_name().rpartition(":")
        wanted = f"{tag}-previous" if self._is_rollback else self._tag
        if self._build:
            wanted = f"{tag}-candidate"
            made = self._configuration(f"{repository}:{wanted}")
            # It may be built on another service's (basculectl init).
            self._compose_with(made, "build", "--quiet", "--with-dependencies", SERVICE)
        if found := _image_id(f"{repository}:{wanted or tag}"):
            return found
        if not wanted:
            raise CommandError(f"there is no image {repository}:{tag}; --build makes it")
        words = "there is nothing to go back to" if self._is_rollback else "not deployed"
        raise CommandError(
            f"{words}: there is no image {repository}:{wanted}; "
            f"docker image ls {repository} lists them"
        )

    def _image_name(self) -> str:
        if not self._name:
            # Not `config --images`, which names those that the service depends on as well.
            made = self._configuration()
            image = made["services"][SERVICE].get("image", f"{made['name']}-{SERVICE}")
            self._name = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
        return self._name

    def _configuration(self, image: str = "") -> dict[str, Any]:
        """What compose makes of the project's files; `image`: another one of the server's code."""
        found: dict[str, Any] = json.loads(self._compose("config", "--format", "json"))
        return served_by(found, image) if image else found

    def release(self) -> None:
        """See `replacement.Site`."""
        if not self._has_release:
            return
        configuration = self._configuration(self._chosen)
        service = of_procfile(configuration).get(RELEASE)
        if not service:
            return
        say("release:")
        sys.stdout.flush()
        done = subprocess.run(
            ("docker", *self._given("run", "--rm", "-T", "--no-deps", service)),
            cwd=self._root,
            env=self._environ,
            input=json.dumps(configuration).encode(),
            check=False,
            close_fds=False,
        )
        if done.returncode:
            raise CommandError(
                f"the Procfile's release ended with status {done.returncode}, as told above"
            )

    def start(self) -> str:
        """See `replacement.Site`."""
        if self._is_restart:
            self._keep_settings(self._old)
        configuration = self._configuration(self._chosen)
        self._new = self._compose_with(
            configuration,
            *("run", "--detach", "-T", "--no-deps"),
            *("--name", f"{configuration['name']}{BESIDE}", SERVICE),
        ).split()[-1]
        return self._new[:12]

    def _keep_settings(self, container: str) -> None:
        """Have compose go by a container's settings, where its own are others by now."""
        listed = json.loads(_docker("inspect", "--format", "{{json .Config.Env}}", container))
        runs = {name: value for name, _, value in (each.partition("=") for each in listed)}
        wanted = self._configuration()["services"][SERVICE].get("environment") or {}
        there = {name: runs.get(name, "") for name in wanted}
        others = {name: value for name, value in there.items() if value != (wanted[name] or "")}
        self._environ = {**self._environ, **others}

    def try_new(self, limit: float | None) -> int:
        """See `replacement.Site`."""
        return self._try(self._new, limit)

    def _try(self, container: str, limit: float | None) -> int:
        try:
            words = ("--timeout", f"{limit:g}") if limit else ()
            return len(self._trial(container, "try", *words).splitlines())
        except CommandError as error:
            done = _run("docker", "logs", "--tail", "40", container)
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
        if _has(self._old, HOLD):
            self._release(self._old)
        # An interrupt may have come between a container's start and our knowing of it.
        for each in self._servers():
            if each.id == self._old:
                continue
            if _has(each.id, TAKEN):  # it has served, and may have requests
                self._end(each.id)
            else:
                _docker("rm", "--force", each.id)
        return f"{_named(self._old)} serves"

    def take_over(self) -> None:
        """See `replacement.Site`."""
        # Which docker compose gives to none that it runs.
        policy = self._configuration()["services"][SERVICE].get("restart", "no")
        _docker("update", f"--restart={policy}", self._new)
        self._pass_on(self._old, self._new)

    def _pass_on(self, giver: str, taker: str) -> None:
        """Let one container have the sockets of another, which may be gone."""
        # A worker of the giver's that is started again must not take its socket back.
        _run("docker", "exec", giver, "sh", "-c", f": >{HOLD}")
        try:
            self._release(taker)
        except CommandError as error:
            raise CommandError(
                f"the take-over is incomplete: {error}. {_named(giver)} still serves the rest"
            ) from error

    def _release(self, container: str) -> None:
        """Let the workers of a container have the sockets."""
        _docker("exec", container, "sh", "-c", f": >{TAKEN} && rm -f {HOLD}")
        self._trial(container, "release")

    def _keep_images(self) -> None:
        """Let what is gone back to keep a name; older ones lose theirs, and go with it."""
        name = self._image_name()
        if self._old and (before := _image(self._old)) != self._chosen:
            _docker("tag", before, f"{name}-previous")
        _docker("tag", self._chosen, f"{name}-deployed-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        named = f"reference={name}-deployed-*"
        names = _docker("image", "ls", "--filter", named, "--format", "{{.Repository}}:{{.Tag}}")
        for each in (*sorted(names.split(), reverse=True)[KEPT:], f"{name}-candidate"):
            with suppress(CommandError):
                _docker("image", "rm", each)

    def tell_nginx(self) -> str:
        """See `replacement.Site`."""
        try:
            return self._compose("exec", "-T", "nginx", "/docker-entrypoint.sh", "reload")
        except CommandError as error:
            warn(f"nginx could not be reloaded ({error}): docker compose restart nginx")
            return "not reloaded"

    def retire(self, limit: float | None, proven: Callable[[], None]) -> str:
        """See `replacement.Site`."""
        self._chosen = _image(self._new)
        if not self._is_restart:
            self._keep_images()
        cut_short = [self._end(each.id) for each in self._servers() if not each.is_beside]
        # Not before: where a container is not as its settings and its tag say, docker compose makes
        # another one, and stops nginx for that.
        proven()
        if not self._is_restart:
            _docker("tag", self._chosen, self._image_name())
        made = self._make_compose_s_own()
        try:
            _docker("start", made)
            self._try(made, limit)
            self._pass_on(self._new, made)
        except CommandError as error:
            raise CommandError(
                f"{_named(self._new)} serves, and the one that docker compose has made of the same "
                f"image does not: {error}. {named('deploy')} --resume tries it again"
            ) from error
        self._replace_processes()
        cut_short.append(self._end(self._new))
        if not self._is_restart:
            self.note = self._note_on_nginx()
        return ", ".join([f"docker compose has {made[:12]}", *filter(None, cut_short)])

    def _make_compose_s_own(self) -> str:
        """Have docker compose make the service's container of what serves; return its id."""
        self._keep_settings(self._new)
        self._bring_up("--no-start", SERVICE)
        made = self._serving()
        if not made:
            raise CommandError("docker compose made no container")
        return made

    def _bring_up(self, *words: str) -> None:
        """Have docker compose make services' containers of what serves."""
        words = ("up", "--no-build", "--no-deps", *words)
        if self._chosen == _image_id(self._image_name()):
            self._compose(*words)
        else:  # another image has been built since this one began to serve
            self._compose_with(self._configuration(self._chosen), *words)

    def _replace_processes(self) -> None:
        """Have what the Procfile has beside web run the code and the settings that serve."""
        found = of_procfile(self._configuration())
        found.pop(RELEASE, None)
        if found and self._is_restart:
            self._compose("restart", *found.values())
        elif found:
            self._bring_up("--detach", *found.values())

    @staticmethod
    def _end(container: str) -> str:
        """Stop a container and remove it; return what is to be said of its end."""
        _docker("stop", container)
        status = _docker("inspect", "--format", "{{.State.ExitCode}}", container)
        _docker("rm", "--force", container)  # docker compose may have started it again
        return "" if status == "0" else f"exit status {status}: requests were cut short"

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

    def _servers(self) -> list[Server]:
        return servers(listed(self._compose(*SERVERS, *JSON)))

    def _compose(self, *words: str) -> str:
        return _docker("compose", *words, directory=self._root, environ=self._environ)

    def _compose_with(self, configuration: Mapping[str, Any], *words: str) -> str:
        """Do it with a configuration that stands in no file."""
        return _docker(
            *self._given(*words),
            directory=self._root,
            environ=self._environ,
            given=json.dumps(configuration),
        )

    def _given(self, *words: str) -> tuple[str, ...]:
        """A command of docker compose's that reads its configuration."""
        return ("compose", "--project-directory", str(self._root), "--file", "-", *words)


def _named(container: str) -> str:
    return f"container {container[:12]}" if container else "no container"


def _has(container: str, file: str) -> bool:
    """Whether a container runs and has a file."""
    return not _run("docker", "exec", container, "test", "-e", file).returncode


def _has_taken_over(container: str) -> bool:
    """Whether it was given the sockets; where the engine has started it anew, that file is gone."""
    policy = "{{.HostConfig.RestartPolicy.Name}}"
    return not _has(container, HOLD) and (
        _has(container, TAKEN) or _docker("inspect", "--format", policy, container) != "no"
    )


def _image(container: str) -> str:
    return _docker("inspect", "--format", "{{.Image}}", container)


def _image_id(name: str) -> str:
    """The id of an image; empty where there is none."""
    done = _run("docker", "image", "inspect", "--format", "{{.Id}}", name)
    return done.stdout.strip() if done.returncode == 0 else ""


def _docker(
    *words: str,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: str = "",
) -> str:
    """What docker prints. Raises `CommandError` with its words where it fails."""
    done = _run("docker", *words, directory=directory, environ=environ, given=given)
    if done.returncode:
        raise CommandError(done.stderr.strip() or f"docker {words[0]} failed")
    return done.stdout.strip()


def _run(
    *command: str,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run it; it has the operation's lock as well, and so nobody comes in between if we die."""
    return subprocess.run(
        command,
        cwd=directory,
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        close_fds=False,
    )
