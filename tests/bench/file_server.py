"""nginx by itself, serving files: what a download is compared with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.bench.native import require


def foreground() -> list[str]:
    """Return the options that keep nginx in the foreground, its workers the caller's user."""
    user = " user root;" if os.geteuid() == 0 else ""
    return ["-e", "stderr", "-g", f"daemon off;{user}"]


def file_server(directory: Path, port: str) -> list[str]:
    """Return the command of an nginx, one worker, that serves the files of `directory`."""
    run_dir = directory / "file-server"
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir()
    (run_dir / "nginx.conf").write_text(f"""
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    server {{
        listen 127.0.0.1:{port};
        root {directory};
        location = / {{ return 200; }}
    }}
}}
""")
    program = require("nginx", "nginx-light")
    return [program, "-p", f"{run_dir}/", "-c", "nginx.conf", *foreground()]
