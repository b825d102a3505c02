"""The listener of supervisord's events, before a supervisord that only answers what it is told."""

from __future__ import annotations

import io
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest
from bascule_ops.supervision.process_events import listen

EVENT = b"processname:worker-1 groupname:bascule from_state:BACKOFF"
HEADER = b"ver:3.0 server:supervisor serial:1 pool:listener poolserial:1 eventname:%b len:%d\n"


class Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # a unix socket has none


class Ending(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """A supervisord that refuses each call with one fault."""

    logRequests = False  # noqa: N815 (the handler's name for it)

    def __init__(self, path: Path, fault: int) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        socketserver.UnixStreamServer.__init__(self, str(path), Handler)
        self.fault = fault

    def _dispatch(self, method: str, params: object) -> object:
        raise Fault(self.fault, method)


@pytest.fixture
def supervisord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ending]:
    monkeypatch.setenv("SUPERVISOR_DIR", str(tmp_path))
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    with Ending(tmp_path / "supervisor.sock", 6) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hear() -> None:
    header = HEADER % (b"PROCESS_STATE_FATAL", len(EVENT))
    listen(io.BytesIO(header + EVENT), io.BytesIO())


def test_a_worker_that_fails_while_supervisord_ends_is_reported(
    supervisord: Ending, capsys: pytest.CaptureFixture[str]
) -> None:
    hear()
    assert "bascule:worker-1 could not be started" in capsys.readouterr().err


def test_any_other_fault_is_no_end(supervisord: Ending) -> None:
    supervisord.fault = 10
    with pytest.raises(Fault):
        hear()
