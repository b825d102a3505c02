"""``python -m tests.load --port 8080 --requests 20000``: exit status 0 when none failed."""

from __future__ import annotations

import argparse
import sys

from tests.load.background import BackgroundLoad


def main() -> int:
    """Run the load from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.load",
        description="Sends a mixed load to a stack of this machine that serves "
        "BASCULE_APP=tests.load.application:application, and accounts for every request.",
    )
    parser.add_argument("--port", type=int, required=True, help="where nginx answers")
    parser.add_argument("--requests", type=int, default=20_000, help="right answers to wait for")
    parser.add_argument("--rate", type=float, default=400, help="ordinary requests a second")
    arguments = parser.parse_args()
    with BackgroundLoad(arguments.port, rate=arguments.rate) as load:
        load.wait_for(arguments.requests)
    print("\n".join(load.account.lines()))
    return 1 if load.account.failures or not load.account.is_complete else 0


if __name__ == "__main__":
    sys.exit(main())
