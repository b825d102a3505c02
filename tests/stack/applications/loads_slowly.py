"""Fails to load for FAILS_FOR seconds, as without its database; then it takes LOADS_FOR to load.

Mounted into the server's container by compose.loads.yml.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bascule_middleware.wsgi import application  # noqa: F401 (it is what is served)

FIRST = Path("/tmp/first-try")
if not FIRST.exists():
    FIRST.touch()
if time.time() < FIRST.stat().st_ctime + float(os.environ.get("FAILS_FOR") or 0):
    raise ConnectionRefusedError("the database")
time.sleep(float(os.environ.get("LOADS_FOR") or 0))
