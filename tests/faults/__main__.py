"""``python -m tests.faults``: every command while each fault lasts, as a table."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.faults.cases import COMMANDS, LOCAL, PAGES
from tests.faults.matrix import rows
from tests.faults.stack import BrokenStack, may_mount


def main() -> int:
    """Run the faults that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Breaks one part of a local stack of its own after the other, and asks every "
        "command meanwhile. Exit status 1 where one took more than 5 s, printed a traceback or "
        "nothing, or ended with another status than is true.",
    )
    names = ", ".join(f'"{fault.name}"' for fault in LOCAL)
    parser.add_argument("fault", nargs="*", help=f"all, or some of {names}")
    parser.add_argument("--command", action="append", help="all, or some of them")
    parser.add_argument("--verbose", action="store_true", help="what each command says as well")
    arguments = parser.parse_args()
    if unknown := set(arguments.fault) - {fault.name for fault in LOCAL}:
        parser.error(f"no such fault: {', '.join(unknown)}")
    commands = arguments.command or [*COMMANDS, *PAGES]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    has_disk = may_mount()
    stack = BrokenStack(None, has_disk=has_disk)
    failed = False
    try:
        print(f"{'fault':<44}{'command':<18}{'s':>6}{'status':>8}  ")
        for fault in LOCAL:
            if arguments.fault and fault.name not in arguments.fault:
                continue
            if fault.needs_disk and not has_disk:
                print(f"{fault.name:<44}skipped: this user may not mount a disk")
                continue
            for row in rows(stack, fault, commands):
                failed |= bool(row.faults)
                what = f"{row.fault:<44}{row.command:<18}{row.seconds:>6.2f}{row.status:>8}"
                print(f"{what}  {'; '.join(row.faults)}".rstrip(), flush=True)
                if arguments.verbose or row.faults:
                    print("\n".join(f"    | {line}" for line in row.output.splitlines()[-12:]))
    finally:
        stack.remove()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
