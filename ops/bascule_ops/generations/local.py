"""Generations in local mode: each has a supervisord of its own, in one of the site's two slots."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from xmlrpc.client import Fault

from bascule_ops.control.local import LocalStack
from bascule_ops.control.output import warn
from bascule_ops.errors import CommandError
from bascule_ops.generations import processes
from bascule_ops.generations.replacement import Left
from bascule_ops.program import named
from bascule_ops.settings import variables
from bascule_ops.static import publish, source
from bascule_ops.supervision import failures, slots, starts
from bascule_ops.supervision.client import ENDED, SHUTDOWN_STATE, Supervisor
from bascule_ops.supervision.operation import Operation, alone
from bascule_ops.supervision.trial import HOLD_FILE, Generation, NotReadyError, write_numbers

# What the stack keeps, whatever the environment of a deployment says: where it is, and where nginx
# listens.
KEPT: Final = (
    "RUN_DIR", "PYTHON", "OPS_PYTHON", "PROJECT_DIR", "LOG_ROUTE",
    "NGINX_RUN_DIR", "NGINX_SOURCE_DIR", "NGINX_BINARY", "NGINX_HOST", "NGINX_PORT",
    "NGINX_STATUS_PORT", "NGINX_STATUS_HOST", "NGINX_ACCESS_LOG",
    "NGINX_TLS_HOST", "NGINX_TLS_PORT", "NGINX_TLS_CERTIFICATE", "NGINX_TLS_CERTIFICATE_KEY",
    "NGINX_STATIC_DIR",
)  # fmt: skip
# The environment of what served before the last deployment, in the run directory.
PREVIOUS: Final = "environment.previous"
STOP_MARGIN: Final = 10  # seconds that a supervisord may take beyond what it gives its programs
_POLL: Final = 0.05
# What a supervisord that does not do what it is asked raises.
_REFUSALS: Final = (OSError, Fault, http.client.HTTPException)


class LocalSite:
    """The site of a stack in local mode.

    Args:
        local: the stack, whose site's supervisord runs.
        environ: what the new workers are to get; None: what the old ones have.
        is_rollback: it is what served before the last deployment.
        has_release: the Procfile's release is run first.
    """

    what = "the settings"
    note = ""

    def __init__(
        self,
        local: LocalStack,
        environ: Mapping[str, str] | None = None,
        *,
        is_rollback: bool = False,
        has_release: bool = False,
    ) -> None:
        local.check_run_dir()
        self._local = local
        self._run_dir = local.run_dir
        self._site = Supervisor(str(local.run_dir / "supervisor.sock"))
        self._log_size = local.log_file.stat().st_size
        self._alone = ExitStack()
        self._wanted = environ
        self._is_rollback = is_rollback
        self._has_release = has_release
        try:
            self._take_sides()
        except OSError as error:
            raise CommandError(
                f"another version of Bascule has started this stack ({error.filename} is not "
                f"there): {named('down')}, then {named('up')}"
            ) from error

    def _take_sides(self) -> None:
        self._old = slots.serving(self._run_dir)
        self._new = slots.other(self._old)
        self._old_environ = slots.read_environment(self._run_dir / self._old / slots.ENVIRONMENT)
        self._environ = self._old_environ

    def left(self) -> Left | None:
        """See `replacement.Site`."""
        self._take_sides()
        left = left_over(self._local)
        if left and left.has_taken_over:
            self._environ = slots.read_environment(self._run_dir / self._new / slots.ENVIRONMENT)
        return left

    def prepare(self) -> str:
        """See `replacement.Site`."""
        self._take_sides()
        tell = self._alone.enter_context(alone(self._run_dir / self._old, waits=False))
        tell(Operation(kind="deployment", process="", number=0, of=0))
        environ = self._environ = self._new_environment()
        processes.of_project(environ)
        # Of as many letters as the directory that nginx runs in: paths of sockets are short.
        directory = self._run_dir / "check"
        done = self._ask_nginx("check", {**environ, "NGINX_RUN_DIR": str(directory)})
        shutil.rmtree(directory, ignore_errors=True)
        if done.returncode:
            raise CommandError(done.stderr.strip())
        return ""

    def _ask_nginx(
        self, what: str, environ: Mapping[str, str], stderr: int | None = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", f"{environ['NGINX_SOURCE_DIR']}/docker-entrypoint.sh", what],
            cwd=environ["PROJECT_DIR"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
            close_fds=False,  # it has the operation's lock as well
        )

    def _new_environment(self) -> dict[str, str]:
        wanted = self._wanted
        if self._is_rollback:
            try:
                wanted = slots.read_environment(self._run_dir / PREVIOUS)
            except FileNotFoundError:
                raise CommandError("there is nothing to go back to: no deployment yet") from None
        if wanted is None:
            return self._old_environ
        others = {name: value for name, value in wanted.items() if name not in KEPT}
        return others | {n: self._old_environ[n] for n in KEPT if n in self._old_environ}

    def release(self) -> None:
        """See `replacement.Site`."""
        if self._has_release:
            processes.release(self._environ)

    def start(self) -> str:
        """See `replacement.Site`."""
        slots.prepare(self._run_dir, self._new, self._environ, is_held=True)
        source.make(self._environ, self._run_dir / self._new)
        with _refusals():
            self._site.start(_process(self._new))
        return ""

    def try_new(self, limit: float | None) -> int:
        """See `replacement.Site`."""
        start_timeout = variables.read(self._environ).start_timeout
        limit = limit or starts.limit(start_timeout, starts.took(self._run_dir))
        new = Supervisor(str(self._run_dir / self._new / "supervisor.sock"))
        try:
            _wait_for(lambda: self._begins(new), limit, f"{slots.program(self._new)} did not begin")
            return len(self._generation(self._new).try_all(limit))
        except (NotReadyError, CommandError, *_REFUSALS) as error:
            self._local.show_log(self._log_size)
            why = error if isinstance(error, NotReadyError) else self._last_words() or error
            raise CommandError(f"the new workers are not ready: {why}") from error

    def _begins(self, new: Supervisor) -> bool:
        """Whether the new supervisord answers. Raises `CommandError` where it has ended."""
        if self._has_ended(self._new):
            raise CommandError(f"{slots.program(self._new)} has ended")
        try:
            return bool(new.processes())
        except OSError:
            return False

    def _generation(self, slot: str) -> Generation:
        directory = self._run_dir / slot
        supervisor = Supervisor(str(directory / "supervisor.sock"))
        return Generation(supervisor, self._run_dir, self._environ["HEALTH_PATH"], directory)

    def _last_words(self) -> str:
        """Who could not be started, and what it said; empty where there is none."""
        for name, ends in failures.read(self._run_dir / self._new).items():
            number = name.rpartition("-")[2]
            who = f"worker-{number}" if number.isdigit() else name
            return f"{who} cannot be started: {ends[-1]['words']}"
        return ""

    def abandon(self) -> str:
        """See `replacement.Site`."""
        self._environ = self._old_environ
        if self._hold(self._old).exists():
            self._release(self._old)
        self._end(self._new)
        slots.clear(self._run_dir, self._new)
        self._alone.close()
        return "the workers that were there serve"

    def take_over(self) -> None:
        """See `replacement.Site`."""
        # One of the old workers that is started again must not take its socket back.
        self._hold(self._old).write_text("")
        try:
            self._release(self._new)
        except CommandError as error:
            raise CommandError(
                f"{error}. The old workers still serve where the new ones do not; "
                f"{named('deploy')} --resume finishes it"
            ) from error
        if self._wanted is not None or self._is_rollback:
            slots.write_environment(self._run_dir / PREVIOUS, self._old_environ)
        write_numbers(self._run_dir, variables.read(self._environ))
        self._local.tell_url(self._environ)

    def _release(self, slot: str) -> None:
        """Let the workers of a slot have the sockets."""
        slots.let_take_over(self._run_dir, slot)
        try:
            site = variables.directory("NGINX_STATIC_DIR", self._environ)
            publish.put(source.files(self._environ, self._run_dir / slot), site)
            self._generation(slot).check_all()
        except (NotReadyError, *_REFUSALS) as error:
            raise CommandError(f"the take-over is incomplete: {error}") from error

    def tell_nginx(self) -> str:
        """See `replacement.Site`."""
        # What it says on the way, or as it refuses, is for whoever watches.
        done = self._ask_nginx("reload", self._environ, stderr=None)
        if done.returncode:
            warn("nginx keeps its configuration")
            return "refused"
        return done.stdout.strip()

    def retire(self, _limit: float | None, proven: Callable[[], None]) -> str:
        """See `replacement.Site`."""
        proven()
        slots.let_serve(self._run_dir, self._new)
        self._end(self._old)
        with _refusals():
            replaced = processes.replace(self._run_dir, self._environ)
        # Last: by it an operation that was killed is known, and finished.
        slots.clear(self._run_dir, self._old)
        self._alone.close()
        return f"{', '.join(replaced)} replaced" if replaced else ""

    def _hold(self, slot: str) -> Path:
        return self._run_dir / slot / HOLD_FILE

    def _has_ended(self, slot: str) -> bool:
        with _refusals():
            return self._site.process(_process(slot))["state"] in ENDED

    def _end(self, slot: str) -> None:
        """Stop a generation, and wait for its end."""
        if not self._has_ended(slot):
            with _refusals():
                self._site.stop(_process(slot))
            limit = 2 * variables.drain_seconds(self._old_environ) + STOP_MARGIN
            _wait_for(lambda: self._has_ended(slot), limit, f"{slots.program(slot)} did not end")
        self._local.stop_orphans_of(slot)


def left_over(local: LocalStack) -> Left | None:
    """What was left by an operation that was killed, without asking anybody."""
    old = slots.serving(local.run_dir)
    new = slots.other(old)
    if not (local.run_dir / new).exists():
        return None
    has_taken_over = slots.has_taken_over(local.run_dir, new) and bool(local.generation(new))
    return Left("generation", *((new, old) if has_taken_over else (old, new)), has_taken_over)


def _process(slot: str) -> str:
    name = slots.program(slot)
    return f"{name}:{name}"


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in words that the supervisord of the site does not do what it is asked."""
    try:
        yield
    except _REFUSALS as error:
        if isinstance(error, Fault) and error.faultCode == SHUTDOWN_STATE:
            raise CommandError("somebody stops the stack") from error
        raise CommandError(
            f"supervisord does not do it: {error}; {named('status')} says more"
        ) from error


def _wait_for(fact: Callable[[], bool], limit: float, failure: str) -> None:
    """Return when `fact` holds. Raises `CommandError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not fact():
        if time.monotonic() > deadline:
            raise CommandError(f"{failure} within {limit:g} s")
        time.sleep(_POLL)
