"""Where the parts of a stack are to be found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bascule_ops.address import of_tls
from bascule_ops.settings.variables import directory, workers
from bascule_ops.supervision.slots import SERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `snapshot.take` needs to know.

    Attributes:
        mode: whether nginx runs beside the workers or in a container of its own.
        run_dir: where the workers' sockets and their metrics are.
        supervisor_dir: where the control socket of the workers' supervisord is.
        site_dir: where that of local mode's other one is, nginx's; None where there is none.
        workers: how many there should be.
        nginx: its inside listener, ``unix:PATH`` or ``HOST:PORT``; empty where there is no nginx.
        certificates: PEM files that nginx uses; none where the setting names a device, /dev/null.
        tls: where nginx shows them to clients, ``HOST:PORT``; empty where it does not.
        nginx_dir: where nginx writes; None where that is in a container of its own.
    """

    mode: Literal["docker", "local"]
    run_dir: Path
    supervisor_dir: Path
    workers: int
    nginx: str
    certificates: tuple[Path, ...] = ()
    tls: str = ""
    nginx_dir: Path | None = None
    site_dir: Path | None = None

    @property
    def supervisor_dirs(self) -> tuple[Path, ...]:
        """Where each supervisord's control socket is; the last one's writes the log."""
        return (self.supervisor_dir, self.site_dir) if self.site_dir else (self.supervisor_dir,)


def from_environ(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the stack that this process belongs to or was started for.

    Local mode sets every path (`bascule_ops.control.project`); the container's are the defaults.
    """
    run_dir = directory("RUN_DIR", environ)
    local = bool(environ.get("NGINX_RUN_DIR"))
    nginx = environ.get("NGINX_STATUS_ADDRESS", "nginx:8081")
    tls = environ.get("NGINX_TLS_ADDRESS", "nginx:8443")
    if local:
        nginx = f"unix:{environ['NGINX_RUN_DIR']}/status.sock"
        listener = of_tls(environ)
        tls = listener.for_client if listener else ""
    certificate = environ.get("NGINX_TLS_CERTIFICATE", "")
    return Settings(
        mode="local" if local else "docker",
        run_dir=run_dir,
        supervisor_dir=run_dir / SERVING if local else directory("SUPERVISOR_DIR", environ),
        workers=workers(environ),
        nginx=nginx,
        certificates=_files(certificate),
        tls=tls,
        nginx_dir=Path(environ["NGINX_RUN_DIR"]) if local else None,
        site_dir=run_dir if local else None,
    )


def _files(certificate: str) -> tuple[Path, ...]:
    return (Path(certificate),) if certificate and not Path(certificate).is_char_device() else ()
