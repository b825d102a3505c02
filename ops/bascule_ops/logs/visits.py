"""What ops/report gives GoAccess: nginx's lines about requests, as they were logged.

Exit status: 0; 1 the log cannot be read; 2 wrong arguments.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Final

from bascule_ops.logs import arguments, command, scan

PROGRAM: Final = "ops/report"


def main(argv: list[str]) -> int:
    """Run the command with these arguments; return the exit status."""
    parser = arguments.parser(PROGRAM)
    arguments.add_filters(parser)
    options = parser.parse_args(argv)
    selection = replace(arguments.selection(options), events=("request",), worker="nginx")

    def tell() -> int:
        for raw, record in scan.wanted(arguments.source(options), selection):
            # Without a method it was no request of HTTP, and GoAccess cannot read it.
            if record.get("method"):
                sys.stdout.buffer.write(raw + b"\n")
        return 0

    return command.run(PROGRAM, tell)


if __name__ == "__main__":
    command.become(main)
