"""nginx in front of two scripted workers, once for each nginx that the machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.nginx import Nginx, binaries


@pytest.fixture(params=binaries(), ids=lambda path: path.rsplit("/", 1)[-1], scope="session")
def binary(request: pytest.FixtureRequest) -> str:
    """An nginx to test with."""
    return str(request.param)


@pytest.fixture(scope="module")
def nginx(binary: str) -> Iterator[Nginx]:
    """A running nginx with both workers up and short time limits."""
    settings = {"NGINX_PROXY_READ_TIMEOUT": "300ms", "NGINX_CLIENT_MAX_BODY_SIZE": "100k"}
    with Nginx(binary, **settings) as running:
        running.upstream("worker-0.sock")
        running.upstream("worker-1.sock")
        yield running
