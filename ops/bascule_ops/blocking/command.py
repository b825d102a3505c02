"""Blocks clients and lets them in again: ``basculectl block`` and ``unblock``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bascule_ops.blocking.blocks import Block, Blocks, rfc3339
from bascule_ops.blocking.guard import objection
from bascule_ops.blocking.markers import Network, markers, parse, written
from bascule_ops.errors import CommandError, Refused
from bascule_ops.program import named
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
        end = (
            f"until {rfc3339(made.until)}"
            if made.until
            else f"until {named('unblock')} or {named('down')}"
        )
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
                print(f"{named('unblock')}: {message}", file=sys.stderr)
                status = 1
    return status


class BlockCommand:
    """Blocks clients."""

    HELP: Final = "block a client's address or network at nginx"
    DESCRIPTION: Final = """\
Blocks clients by their address: nginx answers 403 to their next request, on connections that
they have open, too, and no worker hears of it. Nothing is restarted or reloaded. A block ends
when it is taken back (unblock), after its time, or with the stack.

A network is of IPv4, /9 and longer, such as 203.0.113.0/24, or of IPv6, /40 to /48 and /56 to /64,
such as 2001:db8:7::/48."""
    EPILOG: Final = """\
Exit status 0: blocked, or it was already. 1: it could not be done. 2: the call is wrong."""

    @staticmethod
    def add_arguments(made: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        made.add_argument(
            "networks", nargs="*", type=network, metavar="NETWORK",
            help="an address, or a network: 203.0.113.7, 203.0.113.0/24, 2001:db8:7::/48",
        )  # fmt: skip
        made.add_argument(
            "--for",
            dest="span",
            type=duration,
            metavar="TIME",
            help="how long: 30s, 10m, 1h, 2d; without it, until it is taken back",
        )
        made.add_argument("--reason", default="", metavar="TEXT", help="for who reads the list")
        made.add_argument("--force", action="store_true", help="also this machine and its gateway")
        made.add_argument("--list", action="store_true", help="who is blocked")
        made.add_argument("--json", action="store_true", help="the list as JSON")

    @staticmethod
    def check(arguments: argparse.Namespace) -> None:
        """Raise `Refused` where the call makes no sense."""
        if bool(arguments.networks) == arguments.list:
            raise Refused(_unclear("block", "--list"))
        if not arguments.force:
            for each in arguments.networks:
                if reason := objection(each):
                    raise Refused(
                        _with_help("block", f"{written(each)}: {reason} (--force blocks it)")
                    )

    @staticmethod
    def run(arguments: argparse.Namespace, run_dir: Path) -> int:
        """Block them in the stack of that run directory; return the exit status."""
        BlockCommand.check(arguments)
        blocks = Blocks(run_dir)
        with _errors_told():
            if arguments.list:
                show(blocks.read(), as_json=arguments.json)
            else:
                block(blocks, arguments)
        return 0


class UnblockCommand:
    """Lets blocked clients in again."""

    HELP: Final = "let a blocked client in again"
    DESCRIPTION: Final = """\
Takes back what block did, with effect on the next request. An address inside a blocked network
stays blocked with it."""
    EPILOG: Final = """\
Exit status 0: no longer blocked, or it was not. 1: it could not be done, or a larger network
is still blocked. 2: the call is wrong."""

    @staticmethod
    def add_arguments(made: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        made.add_argument(
            "networks", nargs="*", type=network, metavar="NETWORK",
            help="an address, or a network: 203.0.113.7, 203.0.113.0/24, 2001:db8:7::/48",
        )  # fmt: skip
        made.add_argument("--all", action="store_true", help="everybody")

    @staticmethod
    def check(arguments: argparse.Namespace) -> None:
        """Raise `Refused` where the call makes no sense."""
        if bool(arguments.networks) == arguments.all:
            raise Refused(_unclear("unblock", "--all"))

    @staticmethod
    def run(arguments: argparse.Namespace, run_dir: Path) -> int:
        """Unblock them in the stack of that run directory; return the exit status."""
        UnblockCommand.check(arguments)
        with _errors_told():
            return unblock(Blocks(run_dir), arguments)


def _with_help(command: str, message: str) -> str:
    return f"{message}; see {named(command)} --help"


def _unclear(command: str, option: str) -> str:
    return _with_help(command, f"name an address or a network, or {option}")


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise CommandError(f"cannot change who is blocked: {error}") from error
