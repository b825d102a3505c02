"""``python -m bascule MODULE:CALLABLE``: the same as the command ``bascule``."""

from __future__ import annotations

import os
import sys

# Python puts the working directory first on the path of ``-m``. There a module of the project, such
# as its logging.py, would take the place of one that the server needs. It comes back when the
# application is loaded.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

from bascule.command import main

if __name__ == "__main__":
    sys.exit(main())
