"""The worker as the stack ships it: the chain around the application, log and metrics on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from bascule.config import CHAIN_ENTRY, variable

from tests.bench.measure import THREADS, Bench, Figures, replayed, started
from tests.bench.peers import Peer, Start
from tests.harness.processes import ROOT

CHAIN: Final = ROOT / "app" / "chain.toml"


def shipped(bench: Bench, peer: Peer) -> Figures:
    """Measure a server on a unix socket, as nginx speaks to it, with what is on in the stack."""
    with bench.fresh("shipped") as directory:
        wanted = Start(
            application=CHAIN_ENTRY,
            address=f"unix:{directory}/worker-0.sock",
            threads=THREADS,
            directory=bench.directory,
            access_log=directory / "access.log",
        )
        whole = replace(peer, command=_with_settings(peer.command, directory))
        with started(bench, whole, wanted) as server:
            return replayed(server, bench, "traffic")


def _with_settings(
    command: Callable[[Start], list[str]], directory: Path
) -> Callable[[Start], list[str]]:
    """Return the command with the settings of ops/stack/supervisord.conf; peers heed the chain."""
    settings = {
        "chain": CHAIN,
        "worker": "0",
        "status_socket": directory / "worker-0.status",
        "metrics_file": directory / "metrics",
    }
    assignments = [f"{variable(name)}={value}" for name, value in settings.items()]
    return lambda start: ["env", *assignments, *command(start)]
