"""What shell scripts ask: ``python -m bascule_ops.settings``.

``--shell`` prints the settings as assignments for a shell, unchecked; ``--check`` prints what is
wrong with them and ends with 2; ``--env-file FILE FUNCTION`` prints a call of that function of the
shell's, with name and value, for each setting in a file.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Final

from bascule_ops.errors import Refused
from bascule_ops.settings import env_file, variables

_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
USAGE: Final = "usage: python -m bascule_ops.settings --shell | --check | --env-file FILE FUNCTION"


def main() -> int:
    """Answer a shell script; return the exit status."""
    try:
        match sys.argv[1:]:
            case ["--shell"]:
                print(variables.assignments(os.environ))
            case ["--check"]:
                variables.read(os.environ)
            case ["--env-file", file, function]:
                for name, value in env_file.read(Path(file), os.environ).items():
                    if _IDENTIFIER.fullmatch(name):  # a shell has no other variables
                        print(f"{function} {name} {shlex.quote(value)}")
            case _:
                print(USAGE, file=sys.stderr)
                return Refused.status
    except Refused as error:
        print(error)
        return error.status
    except OSError as error:
        print(f"cannot read {error.filename}: {error.strerror}")
        return Refused.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
