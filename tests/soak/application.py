"""The load's application, and a path whose calls hang."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.load import application as load

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

HANG_PATH = "/hang"
HANG_SECONDS = float(os.environ.get("SOAK_HANG", "0"))


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as the load expects; hang where that is asked for."""
    if environ["PATH_INFO"] == HANG_PATH:
        time.sleep(HANG_SECONDS)
    return load.application(environ, start_response)
