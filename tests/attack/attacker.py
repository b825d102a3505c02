"""``python -m tests.attack.attacker NAME HOST:PORT``: attacks until its standard input ends.

Writes ``ready`` once as many connections are open as the attack has, or a few seconds have
passed (a server that takes no more is part of some attacks), and at the end one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.attack.plans import ATTACKS
from tests.attack.swarm import Swarm

READY_SECONDS: Final = 3.0
# No attack goes on for longer, whoever forgot to end it.
LONGEST_SECONDS: Final = 600.0
SPARE_DESCRIPTORS: Final = 100


def main(arguments: Sequence[str]) -> int:
    """Attack; return the exit status."""
    name, address = arguments
    attack = ATTACKS[name]
    _allow_descriptors(attack.connections + SPARE_DESCRIPTORS)
    host, _, port = address.rpartition(":")
    swarm = Swarm(attack, host, int(port))
    began = time.monotonic()
    is_ready = False

    def goes_on() -> bool:
        nonlocal is_ready
        seconds = time.monotonic() - began
        if not is_ready and (seconds > READY_SECONDS or swarm.connections >= attack.connections):
            is_ready = True
            print("ready", flush=True)
        return seconds < LONGEST_SECONDS and not select.select([sys.stdin], [], [], 0)[0]

    with contextlib.suppress(KeyboardInterrupt):
        swarm.run(goes_on)
    connected = swarm.connections
    swarm.close()
    print(json.dumps({"opened": swarm.opened, "lost": swarm.lost, "connected": connected}))
    return 0


def _allow_descriptors(wanted: int) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
