"""What GoAccess is given: nginx's lines about requests, as they were logged."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from bascule_ops.logs import arguments, scan


def lines(options: argparse.Namespace, stack: arguments.Stack) -> Iterator[bytes]:
    """The lines that the options ask for. Raises `OSError`."""
    selection = replace(arguments.selection(options), events=("request",), worker="nginx")
    for raw, record in scan.wanted(arguments.source(options, stack), selection):
        # Without a method it was no request of HTTP, and GoAccess cannot read it.
        if record.get("method"):
            yield raw + b"\n"
