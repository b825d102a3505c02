"""What the frameworks' file responses are when they have passed the shipped chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bascule.wsgi.file_wrapper import FileWrapper
from bascule_middleware.chain import build, load

from tests.frameworks import common
from tests.frameworks.stack import SITES
from tests.harness.processes import ROOT
from tests.middleware.gateway import Gateway

# What the frameworks import themselves is not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("framework", SITES)
def test_a_download_reaches_the_server_as_a_file_that_the_kernel_can_send(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"of a site")
    monkeypatch.setenv("SITE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(common, "DOWNLOAD", tmp_path / "file")
    chain = load(ROOT / "app" / "chain.toml")
    application = build(replace(chain, application=SITES[framework]))
    gateway = Gateway(application, PATH_INFO="/download", HTTP_HOST="localhost")
    gateway.environ["wsgi.file_wrapper"] = FileWrapper
    body = application(gateway.environ, gateway.start_response)
    assert isinstance(body, FileWrapper)
    sent = body.file_range()
    assert sent is not None
    assert sent.count == len(b"of a site")
    body.close()
