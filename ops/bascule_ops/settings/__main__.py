"""What shell scripts ask: ``python -m bascule_ops.settings``.

``--shell`` prints the settings as assignments for a shell, unchecked; ``--check`` prints what is
wrong with them and ends with 2.
"""

from __future__ import annotations

import os
import sys

from bascule_ops.errors import Refused
from bascule_ops.settings import variables

EXIT_REFUSED = 2


def main() -> int:
    """Answer a shell script; return the exit status."""
    if sys.argv[1:] == ["--shell"]:
        print(variables.assignments(os.environ))
        return 0
    if sys.argv[1:] != ["--check"]:
        print("usage: python -m bascule_ops.settings --shell | --check", file=sys.stderr)
        return EXIT_REFUSED
    try:
        variables.read(os.environ)
    except Refused as error:
        print(error)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
