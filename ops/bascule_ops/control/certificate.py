"""``basculectl certificate``: shows nginx's certificate, and renews it while nginx serves."""

from __future__ import annotations

import argparse
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bascule_ops import files
from bascule_ops.address import Address, of_tls
from bascule_ops.arguments import add_json
from bascule_ops.certificate import pem_pair
from bascule_ops.control.project import TLS, Project, has_tls
from bascule_ops.control.stack import Stack, find, not_running
from bascule_ops.errors import CommandError, Refused
from bascule_ops.program import named

HELP: Final = "show nginx's certificate, or renew it while nginx serves"
DESCRIPTION: Final = """\
  show      the certificate in the file that NGINX_TLS_CERTIFICATE names, until when it is good, and
            whether nginx serves it (the default)
  install   put a new certificate and its key (PEM files) in the place of the present ones, and have
            nginx serve them: for the deploy hook of an ACME client
  reload    have nginx serve what is in the files now, after something else has written them

Before anything is changed, the new pair is checked: that the key belongs to the certificate, that
no passphrase protects it, that it has not expired. nginx finishes what it has with the old
certificate, and no request is lost; before 1.27.4 it waits for that until idle clients have gone,
65 s at most. The files keep their owner and mode, and are written in place: in containers a file
that takes their place by rename would not be seen."""
EPILOG: Final = """\
Exit status 0: all is well. 1: not, or less than 14 days are left. 2: wrong call, or there is no
TLS."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("act", nargs="?", choices=("show", "install", "reload"), default="show")
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="for install: CERTIFICATE KEY"
    )
    add_json(parser)


def run(options: argparse.Namespace, project: Project) -> int:
    """Do it; return the exit status."""
    if len(options.files) != (2 if options.act == "install" else 0):
        raise Refused(
            "install takes two files, CERTIFICATE and KEY, and nothing else takes any; "
            f"see {named('certificate')} --help"
        )
    if options.json and options.act != "show":
        raise Refused("--json is for show")
    stack = find(project)
    mode = stack.mode
    if mode == "none":
        raise CommandError(not_running())
    if mode == "local":
        stack.local.recall_settings()
    if not has_tls():
        raise Refused(
            "there is no TLS: set NGINX_TLS_CERTIFICATE and NGINX_TLS_CERTIFICATE_KEY "
            f"(.env.example), then {named('up')}"
        )
    at = of_tls(os.environ) if mode == "local" else stack.containers.published(8443)
    if at is None:
        raise CommandError("nginx publishes no port for TLS; see docker compose ps")
    served = Served(stack, at)
    try:
        if options.act != "show":
            pem_pair.served(at)  # an nginx that does not answer would take up nothing
        if options.act == "install":
            served.install(*options.files)
        elif options.act == "reload":
            served.take_up()
        return 0 if served.show(options.json) else 1
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error


class Served:
    """The pair that nginx of a running stack is told to use, at an address of this machine."""

    def __init__(self, stack: Stack, at: Address) -> None:
        self._stack = stack
        self._at = at
        self._pair = (Path(os.environ[TLS[0]]), Path(os.environ[TLS[1]]))

    def show(self, as_json: bool) -> bool:
        """Print what is in the files and what is served; whether all is well."""
        return pem_pair.show(*self._pair, self._at, as_json)

    def take_up(self) -> None:
        """Have nginx serve what is in the files. Raises `CommandError`, `OSError`, `ValueError`."""
        pem_pair.check(*self._pair, datetime.now(UTC))
        done = self._nginx(self._check_command())
        if done.returncode:
            raise CommandError(f"nginx refuses it: {done.stdout.strip()}")
        done = self._nginx(self._reload_command())
        if done.returncode:
            raise CommandError(f"nginx could not be reloaded: {done.stdout.strip()}")
        if not pem_pair.wait_until_served(self._pair[0], self._at):
            raise CommandError(f"nginx goes on with another certificate; see {named('logs')}")

    def install(self, certificate: Path, key: Path) -> None:
        """Put a new pair in the place of the present one, which is put back where it fails."""
        pem_pair.check(certificate, key, datetime.now(UTC))
        new = (certificate.read_bytes(), key.read_bytes())
        kept = tuple(path.read_bytes() for path in self._pair)
        try:
            self._write(new)
            self.take_up()
        except (CommandError, OSError, ValueError) as error:
            self._write(kept)
            raise CommandError(
                f"{error}. The present certificate stays; nothing has changed"
            ) from error
        except BaseException:
            self._write(kept)
            raise

    def _write(self, pair: tuple[bytes, ...]) -> None:
        """Into the files that nginx reads, which stay the same files."""
        for path, content in zip(self._pair, pair, strict=True):
            with path.open("r+b") as file:
                file.write(content)
                file.truncate()

    def _check_command(self) -> list[str]:
        if self._stack.mode == "docker":
            words = ["nginx", "-p", "/run/nginx/"]
            return [*self._in_container(), *words, "-c", "nginx.conf", "-e", "stderr", "-t", "-q"]
        environ = os.environ
        # As nginx/docker-entrypoint.sh starts it; or this check would give its directories to
        # nobody.
        user = ["-g", "user root;"] if os.getuid() == 0 else []
        place = ["-p", f"{environ['NGINX_RUN_DIR']}/", "-c", "nginx.conf", "-e", "stderr"]
        return [environ["NGINX_BINARY"], *place, *user, "-t", "-q"]

    def _reload_command(self) -> list[str]:
        if self._stack.mode == "docker":
            return [*self._in_container(), "/reload.sh"]
        return ["/bin/sh", str(files.NGINX / "reload.sh")]

    @staticmethod
    def _in_container() -> list[str]:
        return ["docker", "compose", "exec", "-T", "nginx"]

    def _nginx(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._stack.project.root,
            env=self._stack.project.environ if self._stack.mode == "docker" else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
