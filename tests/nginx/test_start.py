"""A start either works or says in one line what to mend."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.nginx import ENTRYPOINT, Nginx
from tests.harness.processes import ROOT

pytestmark = pytest.mark.integration


SETTINGS = ROOT / "nginx" / "docker-entrypoint.d" / "10-settings.envsh"


def workers_of(nginx: Nginx) -> list[str]:
    """The sockets that nginx knows of."""
    servers = (nginx.directory / "nginx/upstream_servers.conf").read_text()
    return re.findall(r"/([^/]+\.sock)\"", servers)


def start(nginx: Nginx, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point to its end with `command` in nginx's place."""
    try:
        return subprocess.run(
            [str(ENTRYPOINT), *(command or ("true",))],
            env={**nginx.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    finally:
        shutil.rmtree(nginx.directory)


def test_the_rendered_configuration_passes_nginx_itself(binary: str) -> None:
    nginx = Nginx(binary)
    directory = nginx.environ["NGINX_RUN_DIR"]
    done = start(nginx, binary, "-p", directory, "-c", "nginx.conf", "-e", "stderr", "-t")
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    assert "[emerg]" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NGINX_CLIENT_MAX_BODY_SIZE", "8 MB"),
        ("NGINX_CLIENT_MAX_BODY_SIZE", "8m; include /etc/passwd"),
        ("NGINX_CLIENT_MAX_BODY_SIZE", "8m\n8m"),
        ("NGINX_SEND_TIMEOUT", "0"),
        ("NGINX_PROXY_READ_TIMEOUT", "soon"),
        ("BASCULE_TIMEOUT", "soon"),
        ("NGINX_PORT", "http"),
        ("NGINX_PORT", "65536"),
        ("NGINX_STATUS_PORT", "on"),
        ("NGINX_STATUS_PORT", "65536"),
        ("NGINX_STATUS_HOST", "localhost; include /etc/passwd"),
        ("WORKERS", "0"),
        ("WORKERS", "abc"),
        ("BASCULE_WORKERS", "100"),
        ("WEB_CONCURRENCY", "many"),
        ("RUN_DIR", "relative"),
        ("NGINX_SOURCE_DIR", '/with"quote'),
        ("NGINX_UPSTREAM_SOCKETS", "../escape.sock"),
        ("NGINX_RUN_DIR", "/" + "x" * 100),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name_and_a_remedy(
    binary: str, setting: str, value: str
) -> None:
    done = start(Nginx(binary), **{setting: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f'nginx: {setting} is "{value}": set it to ') or (
        done.stderr.startswith(f"nginx: {setting} is") and "set it to" in done.stderr
    )


def test_an_empty_setting_is_an_unset_one(binary: str) -> None:
    names = re.findall(r"^: \"\$\{(NGINX_\w+):=", SETTINGS.read_text(), re.MULTILINE)
    here = Nginx(binary).environ
    empty = [name for name in names if name not in here]
    assert "NGINX_SEND_TIMEOUT" in empty
    with Nginx(binary, WORKERS="", **dict.fromkeys(empty, "")) as nginx:
        site = (nginx.directory / "nginx/snippets/site.conf").read_text()
        assert "send_timeout 30s;" in site
        assert workers_of(nginx) == ["worker-0.sock", "worker-1.sock"]


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({"BASCULE_WORKERS": "1", "WEB_CONCURRENCY": "3", "WORKERS": "4"}, 1),
        ({"BASCULE_WORKERS": "", "WEB_CONCURRENCY": "3", "WORKERS": "4"}, 3),
        ({"WEB_CONCURRENCY": "3"}, 3),
        ({"WORKERS": "4"}, 4),
    ],
)
def test_the_first_name_that_is_set_says_how_many_workers(
    binary: str, settings: dict[str, str], number: int
) -> None:
    with Nginx(binary, **settings) as nginx:
        assert len(workers_of(nginx)) == number


def test_what_the_workers_say_goes_before_every_setting(binary: str) -> None:
    nginx = Nginx(binary, BASCULE_WORKERS="3")
    (nginx.run_dir / "workers").write_text("1")
    with nginx:
        assert workers_of(nginx) == ["worker-0.sock"]


def test_a_template_that_names_an_unknown_setting_ends_the_start(
    binary: str, tmp_path: Path
) -> None:
    source = tmp_path / "nginx"
    shutil.copytree(ROOT / "nginx", source)
    (source / "templates" / "50-own.conf.template").write_text("# $host\n# ${NGINX_NO_SUCH}\n")
    done = start(Nginx(binary), NGINX_SOURCE_DIR=str(source))
    assert done.returncode == 2
    assert "50-own.conf.template, line 2: ${NGINX_NO_SUCH} is no setting" in done.stderr


def test_a_run_directory_that_cannot_be_made_ends_the_start(binary: str) -> None:
    done = start(Nginx(binary), NGINX_RUN_DIR="/dev/null/nginx")
    assert done.returncode == 1
    assert "cannot make NGINX_RUN_DIR=/dev/null/nginx" in done.stderr


def test_no_template_is_an_error_and_not_an_empty_site(binary: str, tmp_path: Path) -> None:
    source = tmp_path / "nginx"
    shutil.copytree(ROOT / "nginx", source, ignore=shutil.ignore_patterns("*.template"))
    done = start(Nginx(binary), NGINX_SOURCE_DIR=str(source))
    assert done.returncode == 2
    assert "no template in" in done.stderr


def test_a_directory_with_a_space_in_its_name_works(binary: str, tmp_path: Path) -> None:
    source = tmp_path / "a checkout"
    shutil.copytree(ROOT / "nginx", source)
    with Nginx(binary, NGINX_SOURCE_DIR=str(source)) as nginx:
        assert nginx.request("/static/bascule.svg").status == 200


def test_nginx_starts_again_after_it_was_killed(binary: str) -> None:
    with Nginx(binary) as nginx:
        pid = nginx.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        nginx.process.signal(signal.SIGKILL)
        nginx.process.wait(10)
        for child in children:  # they go on without their master
            os.kill(int(child), signal.SIGKILL)
        again = Nginx(binary, NGINX_RUN_DIR=nginx.environ["NGINX_RUN_DIR"])
        with again:
            assert again.request("/static/bascule.svg").status == 200
