"""A deployment in local mode: other workers under the supervisord that runs.

The new workers start as a group of their own, ``next``, beside those that serve. When all of
them answer they take the sockets over, the old ones finish and end, and the group of the
workers is made anew with the new settings; it takes the sockets over in its turn, and ``next``
ends. So the workers go by the same names as before, and at no moment does nobody serve.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xmlrpc.client import Fault

from bascule_ops.deployment.steps import Steps
from bascule_ops.supervision.client import ENDED, WORKERS, Supervisor
from bascule_ops.supervision.operation import Operation, alone
from bascule_ops.supervision.rolling_restart import STOP_MARGIN, NotBackError, wait_for
from bascule_ops.supervision.trial import HOLD_FILE, Generation, NotReadyError, write_number

NEXT = "next"
NEXT_HOLD_FILE = "next.hold"
INCLUDE = "supervisord-nginx.conf"
NEXT_INCLUDE = "supervisord-next.conf"
# What the running stack keeps, whatever the environment of the deployment says: where it is,
# and where nginx listens.
KEPT = (
    "RUN_DIR", "SUPERVISOR_DIR", "SUPERVISOR_INCLUDE", "PYTHON", "OPS_PYTHON", "PROJECT_DIR",
    "NGINX_RUN_DIR", "NGINX_SOURCE_DIR", "NGINX_BINARY", "NGINX_PORT",
    "NGINX_STATUS_PORT", "NGINX_STATUS_HOST", "NGINX_ACCESS_LOG",
    "NGINX_TLS_PORT", "NGINX_TLS_CERTIFICATE", "NGINX_TLS_CERTIFICATE_KEY",
)  # fmt: skip
# What ops/health, ops/restart and ops/down read of a running stack.
RECALLED = ("WORKERS", "HEALTH_PATH", "BASCULE_GRACEFUL_TIMEOUT")
PREVIOUS_FILE = "environment.previous"


class DeploymentError(Exception):
    """It was not done; the text says why, and what serves now."""


def stop_seconds(settings: Mapping[str, str]) -> float:
    """How long a worker may take to stop, in seconds."""
    return float(settings["BASCULE_GRACEFUL_TIMEOUT"]) + STOP_MARGIN


class LocalDeployment:
    """Replaces the workers of a supervisord.

    Args:
        supervisor: the one that runs.
        old: the environment that programs get now.
        new: the one that they are to get.
        steps: where it is told.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        old: Mapping[str, str],
        new: Mapping[str, str],
        steps: Steps,
    ) -> None:
        self._supervisor = supervisor
        self._old = old
        self._new = new
        self._steps = steps
        self._run_dir = Path(old["RUN_DIR"])
        self._supervisor_dir = Path(old["SUPERVISOR_DIR"])

    def try_new(self, limit: float) -> None:
        """Start the new workers and wait for their answers.

        Raises `DeploymentError`, and whatever interrupts it, with the old ones as they were.
        """
        with self._steps.step("the settings, the chain and the application"):
            self._check_settings()
        self._next_hold.touch()
        try:
            with self._steps.step("new workers beside the old ones"):
                self._supervisor.replace_settings(
                    {**self._new, "SUPERVISOR_INCLUDE": f"{INCLUDE} {NEXT_INCLUDE}"}
                )
                self._supervisor.add_group(NEXT)
            with self._steps.step("they answer"):
                lines = self._generation(NEXT).try_all(limit)
                self._steps.result = f"{len(lines)} of them"
        except BaseException as error:
            self._give_up()
            if isinstance(error, NotReadyError | Fault | OSError):
                raise DeploymentError(
                    f"the new workers are not ready: {error}. Nothing has changed"
                ) from error
            raise

    def switch(self) -> None:
        """Let the new workers take over, and end the old ones.

        Raises `DeploymentError` where it got stuck half-way.
        """
        with self._steps.step("they take the sockets over"):
            # One of the old ones that is started again must not take its socket back.
            (self._supervisor_dir / HOLD_FILE).touch()
            self._next_hold.unlink()
            lines = self._generation(NEXT).check_all()
            write_number(self._run_dir, len(lines))
        with self._steps.step("nginx learns how many they are"):
            self._steps.result = self._reload_nginx()
        self._remember()
        self._make_workers_anew()

    def finish(self) -> None:
        """Go on with a deployment that was cut off after its new workers had taken over."""
        self._make_workers_anew()

    def abandon(self) -> None:
        """Remove what is left of a deployment that was cut off before."""
        self._give_up()

    @property
    def _next_hold(self) -> Path:
        return self._supervisor_dir / NEXT_HOLD_FILE

    def _generation(self, group: str) -> Generation:
        return Generation(self._supervisor, group, self._run_dir, self._new["HEALTH_PATH"])

    def _check_settings(self) -> None:
        server = [
            self._new["PYTHON"],
            "-P",
            "-m",
            "bascule",
            "--check-config",
            self._new["BASCULE_APP"],
        ]
        self._must_accept(server, self._new)
        # Of as many letters as the directory that nginx runs in: paths of sockets are short.
        directory = self._run_dir / "check"
        nginx = ["/bin/sh", f"{self._new['NGINX_SOURCE_DIR']}/docker-entrypoint.sh", "check"]
        try:
            self._must_accept(nginx, {**self._new, "NGINX_RUN_DIR": str(directory)})
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _must_accept(self, command: Sequence[str], settings: Mapping[str, str]) -> None:
        """Run a program that checks the settings. Raises `DeploymentError` with its words."""
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeploymentError(f"{done.stderr.strip()}. Nothing has changed")

    def _reload_nginx(self) -> str:
        command = ["/bin/sh", f"{self._new['NGINX_SOURCE_DIR']}/docker-entrypoint.sh", "reload"]
        # What it says on the way, or as it refuses, is for whoever watches.
        done = subprocess.run(
            command, env=self._new, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            print("nginx keeps its configuration", file=sys.stderr)
            return "refused"
        return done.stdout.strip()

    def _make_workers_anew(self) -> None:
        with self._steps.step("the old workers finish what they have"):
            self._end(WORKERS)
        (self._supervisor_dir / HOLD_FILE).unlink(missing_ok=True)
        with self._steps.step("workers of the usual names take over from the new ones"):
            self._supervisor.replace_settings(self._new)
            self._supervisor.add_group(WORKERS)
            try:
                self._generation(WORKERS).check_all(float(stop_seconds(self._new)))
            except NotReadyError as error:
                raise DeploymentError(
                    f"{error}. The new workers serve as group {NEXT}; ops/deploy finishes it"
                ) from error
        with self._steps.step("those finish what they have"):
            self._end(NEXT)
            self._renew_the_rest()

    def _renew_the_rest(self) -> None:
        """Give the programs beside the workers their new settings: all but nginx."""
        groups = {info["group"] for info in self._supervisor.processes()}
        for group in groups - {WORKERS, NEXT, "nginx"}:
            self._end(group)
            self._supervisor.add_group(group)

    def _end(self, group: str) -> None:
        """Stop a group's processes, wait for their end, and remove it."""
        members = [f"{i['group']}:{i['name']}" for i in self._generation(group).processes()]
        if not members:
            return
        for name in members:
            if self._supervisor.process(name)["state"] not in ENDED:
                self._supervisor.stop(name)
        wait_for(
            lambda: all(i["state"] in ENDED for i in self._generation(group).processes()),
            stop_seconds(self._old),
            f"group {group} did not stop",
        )
        self._supervisor.remove_group(group)

    def _give_up(self) -> None:
        """Remove the new workers, which nobody has met."""
        self._end(NEXT)
        self._next_hold.unlink(missing_ok=True)
        self._supervisor.replace_settings(self._old)

    def _remember(self) -> None:
        previous = self._run_dir / PREVIOUS_FILE
        previous.touch(mode=0o600)
        previous.write_text(json.dumps(dict(self._old)), encoding="ascii")
        recalled = self._run_dir / "settings"
        kept = [
            line
            for line in recalled.read_text(encoding="utf-8").splitlines()
            if line.partition("=")[0] not in RECALLED
        ]
        lines = kept + [f"{name}='{self._new[name]}'" for name in RECALLED]
        recalled.write_text("\n".join([*lines, ""]), encoding="utf-8")
        port = self._new["NGINX_PORT"]
        place = "localhost" if port == "80" else f"localhost:{port}"
        url = f"http://{place}{self._new['HEALTH_PATH']}\n"
        (self._run_dir / "url").write_text(url, encoding="utf-8")


def new_settings(old: Mapping[str, str], *, is_rollback: bool) -> dict[str, str]:
    """The environment of the new workers: this process's, or the one before the last time."""
    settings = dict(os.environ)
    if is_rollback:
        try:
            text = Path(old["RUN_DIR"], PREVIOUS_FILE).read_text(encoding="ascii")
        except FileNotFoundError:
            raise DeploymentError("there is nothing to go back to: no deployment yet") from None
        settings = json.loads(text)
    settings = {name: value for name, value in settings.items() if name not in KEPT}
    settings |= {name: old[name] for name in KEPT if name in old}
    settings["SUPERVISOR_STOPWAITSECS"] = str(int(float(settings["BASCULE_GRACEFUL_TIMEOUT"])) + 5)
    return settings


def deploy(limit: float, *, is_rollback: bool) -> None:
    """Do it. Raises `DeploymentError`."""
    directory = Path(os.environ["SUPERVISOR_DIR"])
    supervisor = Supervisor(str(directory / "supervisor.sock"))
    with alone(directory) as tell:
        tell(Operation(kind="deployment", process="", number=0, of=0))
        old = supervisor.read_settings() | {"SUPERVISOR_INCLUDE": INCLUDE}
        if any(info["group"] == NEXT for info in supervisor.processes()):
            print("A deployment before this one was cut off; that comes first.")
            rest = LocalDeployment(supervisor, old, old, Steps(3))
            if (directory / NEXT_HOLD_FILE).exists():
                rest.abandon()
            else:
                rest.finish()
        new = new_settings(old, is_rollback=is_rollback)
        deployment = LocalDeployment(supervisor, old, new, Steps(8))
        deployment.try_new(limit)
        # From here on the new ones serve: whatever happens, it is finished.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deployment.switch()
    workers = "1 worker" if new["WORKERS"] == "1" else f"{new['WORKERS']} workers"
    print(f"Deployed: {workers} of {new['BASCULE_APP']}.")


def interrupt(*_: object) -> None:
    """Make of SIGTERM what SIGINT is."""
    raise KeyboardInterrupt


def main() -> int:
    """Run from ``ops/deploy``; return the exit status."""
    parser = argparse.ArgumentParser(prog="ops/deploy")
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--previous", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        deploy(arguments.timeout, is_rollback=arguments.previous)
    except KeyboardInterrupt:
        print("\nops/deploy: interrupted. Nothing has changed.", file=sys.stderr)
        return 130
    except (DeploymentError, NotReadyError, NotBackError, OSError, Fault) as error:
        print(f"ops/deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
