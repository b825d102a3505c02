"""A local stack of its own: its own run directory and port, beside any other of this checkout."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.harness.ports import free_port
from tests.harness.processes import Process, inherited
from tests.harness.waiting import NotInTimeError

APPLICATION: Final = "tests.soak.application:application"
# Seconds after which a call hangs: the load's slow calls take 5.
TIMEOUT: Final = 8
HANG_SECONDS: Final = TIMEOUT + 3
COMMAND_SECONDS: Final = 180.0


class StackError(Exception):
    """A command of the stack failed; the message has its words."""


class Stack:
    """Starts with the block and stops with it.

    Attributes:
        port: where nginx answers.
    """

    def __init__(self, workers: int) -> None:
        # Short, because unix sockets lie in it.
        self._directory = Path(tempfile.mkdtemp(prefix="soak-"))
        self.run_dir = self._directory / "run"
        self.port = free_port()
        self._environ = inherited() | {
            "RUN_DIR": str(self.run_dir),
            "HTTP_PORT": str(self.port),
            "STATUS_PORT": "off",
            "WORKERS": str(workers),
            "BASCULE_APP": APPLICATION,
            "BASCULE_TIMEOUT": str(TIMEOUT),
            "SOAK_HANG": str(HANG_SECONDS),
            "NGINX_UPSTREAM_KEEPALIVE_TIMEOUT": "1s",
        }

    def __enter__(self) -> Self:
        try:
            self.run("ops/up", "--local")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(StackError):
            self.run("ops/down")
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Run a command of the stack; return what it printed.

        Raises:
            StackError: it failed, or took longer than `COMMAND_SECONDS`.
        """
        # In a group of its own: Ctrl-C on a terminal is for whoever soaks, who ends the rest.
        with Process(command, env=self._environ) as process:
            try:
                status = process.wait(COMMAND_SECONDS)
            except NotInTimeError:
                process.kill()
                raise StackError(
                    f"{' '.join(command)}: not done after {COMMAND_SECONDS:g} s"
                ) from None
            except BaseException:
                process.signal_group(signal.SIGTERM)
                process.wait(COMMAND_SECONDS)  # it clears up
                raise
            if status:
                words = (process.err or process.out).strip().splitlines()[-3:]
                raise StackError(f"{' '.join(command)}: {' / '.join(words)}")
            return process.out

    def workers(self) -> Mapping[str, int]:
        """Return the processes that serve, by the worker's name."""
        socket_of = re.compile(rf"{re.escape(str(self.run_dir))}/(worker-\d+)\.sock")
        found = {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                arguments = path.read_bytes().decode(errors="replace").split("\0")
                if arguments[1:4] == ["-P", "-m", "bascule"]:
                    for each in arguments:
                        if match := socket_of.search(each):
                            found[match[1]] = int(path.parent.name)
        return found

    def reload_nginx(self) -> None:
        """Have nginx read its configuration again."""
        self.run("env", f"NGINX_RUN_DIR={self.run_dir}/nginx", "nginx/reload.sh")

    def empty_log(self) -> None:
        """Empty the log while everybody writes to it."""
        os.truncate(self.run_dir / "bascule.log", 0)
