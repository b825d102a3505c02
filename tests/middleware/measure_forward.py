"""Measures what `forward` adds to a small request: `python -m tests.middleware.measure_forward`."""

from __future__ import annotations

import timeit
from functools import partial

from bascule_middleware.links.forward.forward import Forward

from tests.harness.servers import bascule_command, running
from tests.middleware.gateway import respond

CALLS = 2_000
ROUNDS = 5  # the best one is told: the others were disturbed


def main() -> None:
    with running(bascule_command("--access-logfile", "off"), "app.hello:application") as server:
        host, port = server.address
        link = Forward(None, upstreams=[f"http://{host}:{port}"])
        call = partial(respond, link, PATH_INFO="/alice", HTTP_ACCEPT="*/*")
        assert call().body == b"<h1>Hello, alice!</h1>"
        best = min(timeit.repeat(call, number=CALLS, repeat=ROUNDS))
    print(f"a forwarded GET, with the upstream's own time: {best / CALLS * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
