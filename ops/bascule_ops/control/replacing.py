"""``basculectl restart``, ``deploy``, ``rollback`` and ``scale``: other workers take over."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bascule_ops import program
from bascule_ops.arguments import checked
from bascule_ops.control.interrupts import Interrupts
from bascule_ops.control.local import LocalStack
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.control.stack import find, not_running
from bascule_ops.errors import CommandError, Refused
from bascule_ops.generations.containers import ContainerSite
from bascule_ops.generations.local import LocalSite
from bascule_ops.generations.replacement import Site, replace
from bascule_ops.settings import variables

LOCK: Final = ".operation"  # in the project
_EXIT: Final = "Exit status 0: done. 1: not done, and the old workers serve. 2: wrong arguments"
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def _replace(
    options: argparse.Namespace,
    project: Project,
    make_local: Callable[[LocalStack], Site],
    make_containers: Callable[[Mapping[str, str]], Site],
) -> int:
    """Put other workers into service, alone; return the exit status."""
    environ = dict(os.environ)  # compose has defaults of its own
    stack = find(project)
    mode = stack.mode
    if mode == "none":
        raise CommandError(not_running())
    interrupts = Interrupts()
    try:
        with _alone(project.root, program.named(options.command)):
            site = make_local(stack.local) if mode == "local" else make_containers(environ)
            replace(site, options.timeout, interrupts)
    finally:
        interrupts.restore()
    say("Done: the new workers serve.")
    if site.note:
        say(site.note)
    return 0


@contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    """Keep a lock of the project: two operations would take the other's new workers for the old."""
    with (root / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            other = lock.read().strip() or "another operation"
            raise CommandError(f"{other} is at work here; wait for its end") from None
        lock.truncate(0)
        lock.write(f"{name} (process {os.getpid()})\n")
        lock.flush()
        yield


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=checked(_seconds),
        metavar="SECONDS",
        help="how long the new workers may take until they answer (START_TIMEOUT; more, where "
        "those that serve took longer)",
    )


def _seconds(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]*", text, re.ASCII):
        raise ValueError(f'it is "{text}": give it whole seconds, such as 60')
    return int(text)


class RestartCommand:
    """The same code and settings, in new processes."""

    HELP: Final = "put new processes in the place of the workers, without losing a request"
    DESCRIPTION: Final = """\
Puts new workers in the place of those that serve, with the settings that those have, without losing
a request. The new ones start beside the old ones with the code and the chain.toml that are there
now (with containers those of the image that runs). When every one of them answers HEALTH_PATH they
take the sockets over, and the old ones finish what they have and end. If they do not answer in
time they are removed, and the old ones go on as if nothing had been."""
    EPILOG: Final = f"""\
Settings (the environment, .env) and, with containers, new code are for deploy.

{_EXIT}."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Restart; return the exit status."""
        return _replace(
            options,
            project,
            LocalSite,
            lambda environ: ContainerSite(project.root, environ, is_restart=True),
        )


class DeployCommand:
    """New code or new settings."""

    HELP: Final = "put new code or new settings into service, without losing a request"
    DESCRIPTION: Final = """\
Puts new code, new settings (.env, the environment) or another number of WORKERS into service
without losing a request. The new workers start beside the old ones. When every one of them
answers HEALTH_PATH they take the sockets over, nginx learns how many they are, and the old
ones finish what they have and end. If they do not answer in time, they are removed, their last
lines are shown, and the old ones go on as if nothing had been.

With containers the code is the image's: without --build or --image it is the one that has the
tag of docker-compose.yml, and the deployment is for new settings. The image before it keeps
a name, TAG-previous, for rollback. In local mode the code is the project's."""
    EPILOG: Final = f"""\
Ctrl-C leaves the old workers serving, until the new ones have taken over; from there it is
finished. {_EXIT} or settings."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        image = parser.add_mutually_exclusive_group()
        image.add_argument(
            "--build", action="store_true", help="containers: build the server's image first"
        )
        image.add_argument(
            *("--image",), type=checked(_tag), metavar="TAG",
            help="containers: use the server's image that has this tag",
        )  # fmt: skip
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Deploy; return the exit status."""
        return _deploy(options, project, build=options.build, tag=options.image or "")


def _tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError(f'it is "{text}": give it an image\'s tag')
    return text


def _deploy(
    options: argparse.Namespace,
    project: Project,
    *,
    build: bool = False,
    tag: str = "",
    is_rollback: bool = False,
) -> int:
    def local(stack: LocalStack) -> Site:
        if build or tag:
            raise Refused(
                "--build and --image are for containers; in local mode the code is the project's"
            )
        variables.read(os.environ)
        _check_installed(project.root)
        return LocalSite(stack, None if is_rollback else os.environ, is_rollback=is_rollback)

    def containers(environ: Mapping[str, str]) -> Site:
        return ContainerSite(project.root, environ, build=build, tag=tag, is_rollback=is_rollback)

    return _replace(options, project, local, containers)


def _check_installed(root: Path) -> None:
    """See that what a checkout's processes run with is not about to be taken from under them."""
    lock, installed = root / "requirements" / "stack.txt", root / ".venv-run" / "installed.txt"
    if not (lock.is_file() and installed.is_file()):
        return
    if not installed.read_bytes().startswith(lock.read_bytes()):
        raise CommandError(
            "requirements/stack.txt has changed, and the running processes use what is installed: "
            "that needs ops/down and ops/up"
        )


class RollbackCommand:
    """What served before the last deployment."""

    HELP: Final = "go back to what served before the last deployment"
    DESCRIPTION: Final = """\
Goes back to what served before the last deployment, without losing a request. It is a deployment
itself, and a second rollback goes forward again.

With containers it is the image before (tag latest-previous), with the settings that are in .env
now. In local mode it is the settings before: the code is the project's, so put that back first
where it is the code that is wrong."""
    EPILOG: Final = f"{_EXIT}."

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Go back; return the exit status."""
        return _deploy(options, project, is_rollback=True)


class ScaleCommand:
    """Another number of workers."""

    HELP: Final = "change the number of workers while they serve"
    DESCRIPTION: Final = """\
Changes the number of worker processes, 1 to 99, while they serve: it writes WORKERS into .env,
so that the next start knows it as well, and deploys. Where that fails, .env is put back and the
workers that there are go on. nginx has to reload for it, and one before 1.27.4 waits first until
idle clients have come back or have gone, at most 65 s."""
    EPILOG: Final = f"{_EXIT}."

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument("workers", type=checked(_number), metavar="WORKERS", help="1 to 99")
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Scale; return the exit status."""
        project.load_env()
        for name in variables.WORKERS_NAMES:
            if name != "WORKERS" and os.environ.get(name):
                raise Refused(
                    f"{name} is set, in the environment or in .env, and goes before WORKERS, which "
                    f"this writes: change {name} there, then {program.named('deploy')}"
                )
        if find(project).mode == "none":
            raise CommandError(not_running())
        os.environ["WORKERS"] = str(options.workers)
        file = project.root / ".env"
        before = file.read_bytes() if file.exists() else None
        _write(file, _with_workers(before or b"", options.workers))
        try:
            return _deploy(options, project)
        except BaseException:
            if before is None:
                file.unlink()
            else:
                _write(file, before)
            raise


def _number(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]?", text, re.ASCII):
        raise ValueError(f'it is "{text}": give it, 1 to 99')
    return int(text)


def _with_workers(env: bytes, workers: int) -> bytes:
    """A file .env with another number of workers."""
    lines = env.splitlines(keepends=True)
    kept = [each for each in lines if not re.match(rb"\s*(export\s+)?WORKERS=", each)]
    end = b"" if not kept or kept[-1].endswith(b"\n") else b"\n"
    return b"".join(kept) + end + b"WORKERS=%d\n" % workers


def _write(file: Path, content: bytes) -> None:
    """Replace a file in one step; it keeps its mode, for it may have secrets in it."""
    new = file.with_name(f".env.{os.getpid()}")
    new.touch(mode=0o600)
    if file.exists():
        new.chmod(file.stat().st_mode)
    new.write_bytes(content)
    new.replace(file)
