"""What ops/report gives GoAccess: nginx's lines about requests, as they were logged.

Exit status: 0; 1 the log cannot be read; 2 wrong arguments.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from typing import Final

from ops.log_reader import arguments, scan

PROGRAM: Final = "ops/report"


def main(argv: list[str]) -> int:
    """Run the command with these arguments; return the exit status."""
    parser = arguments.parser(PROGRAM)
    arguments.add_filters(parser)
    options = parser.parse_args(argv)
    selection = replace(arguments.selection(options), events=("request",), worker="nginx")
    try:
        for raw, record in scan.wanted(arguments.source(options), selection):
            # Without a method it was no request of HTTP, and GoAccess cannot read it.
            if record.get("method"):
                sys.stdout.buffer.write(raw + b"\n")
    except OSError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may stop, as `head` does
    sys.exit(main(sys.argv[1:]))
