"""The project whose stack a command is about: where it is, and its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bascule import env_file
from bascule.config import ConfigError
from bascule_middleware import chain

from bascule_ops import files, procfile
from bascule_ops.errors import CommandError, Refused
from bascule_ops.settings import variables
from bascule_ops.settings.directories import check_owner
from bascule_ops.static import source

TLS: Final = ("NGINX_TLS_CERTIFICATE", "NGINX_TLS_CERTIFICATE_KEY")


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with an application in it.

    Attributes:
        root: the directory.
        environ: what docker compose is started with: settings of local mode and our own defaults
            are none of its, or its containers would differ from those of whoever calls it himself.
            The project's name is that of the directory as it was named.
    """

    root: Path
    environ: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "environ", {**os.environ, "PWD": str(self.root)})

    def load_env(self) -> None:
        """Take settings from .env, empty ones too, as the application may; the environment wins."""
        try:
            found = env_file.read(self.root / ".env", os.environ)
        except OSError as error:
            raise CommandError(f"cannot read {error.filename}: {error.strerror}") from error
        except ConfigError as error:
            raise Refused(str(error)) from error
        for name, value in found.items():
            os.environ.setdefault(name, value)
        self._ask_procfile()

    def _ask_procfile(self) -> None:
        """Take the application from the Procfile's web, where nothing else names one."""
        if os.environ.get("BASCULE_APP"):
            return
        if chain.find(self.root, os.environ.get("BASCULE_CHAIN", "")):
            return
        with suppress(CommandError):  # what is wrong there, who starts its processes says
            if target := procfile.target(procfile.read(self.root), self.root):
                os.environ["BASCULE_APP"] = target

    def load(self) -> Path:
        """Put all settings of local mode into the environment; return the run directory.

        Raises `Refused` where it cannot be trusted.
        """
        self.load_env()
        variables.set_defaults(os.environ)
        run_dir = str(self.root / (os.environ.get("RUN_DIR") or ".run"))
        # The project's owner is believed anyway: what is run here is his.
        check_owner("RUN_DIR", run_dir, self.root.stat().st_uid)
        os.environ |= {
            "RUN_DIR": run_dir,
            "SUPERVISOR_DIR": run_dir,
            "LOG_ROUTE": f"{run_dir}/fd",
            "NGINX_RUN_DIR": f"{run_dir}/nginx",
            "NGINX_SOURCE_DIR": str(files.NGINX),
            "NGINX_PROJECT_DIR": str(self.root / "nginx"),
            "NGINX_STATIC_DIR": f"{run_dir}/files",
            "PROJECT_DIR": str(self.root),
            "PYTHON": sys.executable,
            "OPS_PYTHON": sys.executable,
        }
        if media := os.environ.get("MEDIA_DIR") or source.media(os.environ):
            os.environ["MEDIA_DIR"] = str(self.root / media)
        # Seen from the project, as compose sees them.
        for name in TLS:
            if path := os.environ.get(name):
                os.environ[name] = str(self.root / path)
        return Path(run_dir)


def has_tls() -> bool:
    """Whether the settings name a certificate; a device, /dev/null, stands for none."""
    certificate = os.environ.get(TLS[0], "")
    return bool(certificate) and not Path(certificate).is_char_device()
