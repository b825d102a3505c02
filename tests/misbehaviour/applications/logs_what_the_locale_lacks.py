"""Logs and prints letters that the locale's encoding lacks, and half of a surrogate pair."""

import logging

from tests.misbehaviour.stage import staged, tell

REPORT = "unbit/uwsgi#2509"
LOGGED = r"cole"
BORNE_BY = "lenient_encoding"
ENVIRONMENT = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "PYTHONUTF8": "0"}
REQUESTS = 3


def misbehave(environ, _start_response):
    """Log them, and raise with them."""
    logging.getLogger("application").error("École \udcff")
    tell(environ, "École \udcff")


application = staged(misbehave)
