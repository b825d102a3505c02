"""The load's application, which can be broken.

The file ``import`` in RUN_DIR says how this module is imported. ``slow``: that lasts for as long as
the file is there; ``fails``: something that may come is not there; ``wrong``: the code is wrong. A
query with ``holds=SECONDS`` has the call keep the interpreter for so long.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.load import application as whole

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def _order() -> str:
    try:
        return Path(os.environ.get("RUN_DIR", "/run/bascule"), "import").read_text()
    except FileNotFoundError:
        return ""


while (order := _order()) == "slow":
    time.sleep(0.05)
if order == "wrong":
    raise ImportError("the code is wrong")
if order:
    raise ConnectionError("the database does not answer yet")


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Do as the query says."""
    if seconds := parse_qs(environ.get("QUERY_STRING", "")).get("holds"):
        ctypes.PyDLL(None).sleep(int(seconds[0]))
    return whole.application(environ, start_response)
