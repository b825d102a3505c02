"""``docker-entrypoint.sh reload``: another configuration for an nginx that runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness.nginx import ENTRYPOINT, Nginx
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration


def reload(nginx: Nginx, **settings: str) -> subprocess.CompletedProcess[str]:
    """Reload with other settings."""
    return subprocess.run(
        [ENTRYPOINT, "reload"],
        env=nginx.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def rendered(nginx: Nginx, name: str) -> str:
    return (Path(nginx.environ["NGINX_RUN_DIR"]) / name).read_text()


def test_another_number_of_workers_is_taken_from_beside_their_sockets(binary: str) -> None:
    with Nginx(binary) as nginx:
        third = nginx.upstream("worker-2.sock")
        (nginx.run_dir / "workers").write_text("3\n")
        done = reload(nginx)
        assert (done.returncode, done.stdout) == (0, "reloaded\n"), done.stderr

        def is_used() -> bool:
            answer = nginx.request("/")
            return answer.status == 200 and bool(third.seen)

        wait_until(is_used, "the third worker to be asked")
        assert (Path(nginx.environ["NGINX_RUN_DIR"]) / "status.sock").exists()


def test_what_has_not_changed_is_not_read_again(nginx: Nginx) -> None:
    done = reload(nginx)
    assert (done.returncode, done.stdout) == (0, "nothing new\n")


def test_a_configuration_that_is_refused_is_put_back(nginx: Nginx) -> None:
    before = rendered(nginx, "snippets/site.conf")
    done = reload(nginx, NGINX_SEND_TIMEOUT="soon")
    assert done.returncode == 2
    assert "NGINX_SEND_TIMEOUT" in done.stderr
    done = reload(nginx, NGINX_PROXY_SEND_TIMEOUT="99999999999999999999h")
    assert done.returncode == 1
    assert "proxy_send_timeout" in done.stderr
    assert rendered(nginx, "snippets/site.conf") == before
    answer = nginx.request("/")
    assert answer.status == 200


def test_a_number_that_is_none_is_refused(nginx: Nginx) -> None:
    (nginx.run_dir / "workers").write_text("many\n")
    done = reload(nginx)
    (nginx.run_dir / "workers").unlink()
    assert done.returncode == 2
    assert 'workers is "many"' in done.stderr
