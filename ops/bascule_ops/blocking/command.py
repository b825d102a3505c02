"""Blocks clients and lets them in again: behind ``ops/block`` and ``ops/unblock``.

Exit status 0: done, or it was so already. 1: it could not be written, or a client is still
blocked by a larger network. 2: the call is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from bascule_ops.blocking.blocks import Block, Blocks, rfc3339
from bascule_ops.blocking.guard import objection
from bascule_ops.blocking.markers import Network, markers, parse, written
from bascule_ops.text.escape import visible
from bascule_ops.text.table import table

DURATION = re.compile(r"([1-9]\d{0,5})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> timedelta:
    """Return a time such as 30s, 10m, 1h or 2d."""
    match = DURATION.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f'"{text}" is no time; write it as 30s, 10m, 1h or 2d')
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def network(text: str) -> Network:
    """Return an address or a network that nginx can be told."""
    try:
        found = parse(text)
        markers(found)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return found


def show(blocks: Sequence[Block], *, as_json: bool) -> None:
    """Print the list."""
    if as_json:
        print(json.dumps([block.document() for block in blocks], ensure_ascii=False))
        return
    if not blocks:
        print("Nobody is blocked.")
        return
    rows = [("NETWORK", "SINCE", "UNTIL", "REASON")]
    for block in blocks:
        until = rfc3339(block.until) if block.until else "-"
        rows.append(
            (written(block.network), rfc3339(block.since), until, visible(block.reason or "-"))
        )
    print("\n".join(table(rows)))


def block(blocks: Blocks, arguments: argparse.Namespace) -> None:
    """Block each of the networks."""
    until = datetime.now(UTC) + arguments.span if arguments.span else None
    for each in arguments.networks:
        made = blocks.add(each, until, arguments.reason)
        end = f"until {rfc3339(made.until)}" if made.until else "until ops/unblock or ops/down"
        print(f"{written(each)} is blocked {end}")


def unblock(blocks: Blocks, arguments: argparse.Namespace) -> int:
    """Unblock each of the networks, or all; return the exit status."""
    if arguments.all:
        for gone in blocks.remove_all():
            print(f"{written(gone.network)} is no longer blocked")
        return 0
    status = 0
    for each in arguments.networks:
        was = blocks.remove(each)
        print(f"{written(each)} {'is no longer' if was else 'was not'} blocked")
        for other in blocks.read():
            is_larger = other.network.prefixlen <= each.prefixlen
            if is_larger and each.network_address in other.network:
                message = f"{written(other.network)} is blocked, and {written(each)} with it"
                print(f"ops/unblock: {message}", file=sys.stderr)
                status = 1
    return status


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; the scripts have the help."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser(name: str) -> Parser:
    """Return the parser of one of the two commands."""
    made = Parser(prog=f"ops/{name}", add_help=False, allow_abbrev=False)
    made.add_argument("networks", nargs="*", type=network, metavar="NETWORK")
    if name == "unblock":
        made.add_argument("--all", action="store_true")
        return made
    made.add_argument("--for", dest="span", type=duration, metavar="TIME")
    made.add_argument("--reason", default="")
    made.add_argument("--force", action="store_true")
    made.add_argument("--list", action="store_true")
    made.add_argument("--json", action="store_true")
    return made


def main(name: str, words: Sequence[str]) -> int:
    """Run ``ops/block`` or ``ops/unblock`` on the run directory that RUN_DIR names."""
    command = parser(name)
    arguments = command.parse_args(words)
    blocks = Blocks(Path(os.environ["RUN_DIR"]))
    shows = name == "block" and arguments.list
    everybody = name == "unblock" and arguments.all
    if bool(arguments.networks) == (shows or everybody):
        option = "--list" if name == "block" else "--all"
        command.error(f"name an address or a network, or {option}")
    try:
        if shows:
            show(blocks.read(), as_json=arguments.json)
            return 0
        if name == "unblock":
            return unblock(blocks, arguments)
        if not arguments.force:
            for each in arguments.networks:
                if reason := objection(each):
                    command.error(f"{written(each)}: {reason} (--force blocks it)")
        block(blocks, arguments)
    except (OSError, ValueError, KeyError) as error:
        print(f"ops/{name}: cannot change who is blocked: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
