"""Configures logging by fileConfig in a request, with every existing logger disabled."""

import io
import logging.config

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#902"
LOGGED = r"after fileConfig"
BORNE_BY = "own_log"

CONFIGURATION = """
[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=short
[logger_root]
level=CRITICAL
handlers=console
[handler_console]
class=StreamHandler
formatter=short
args=(sys.stdout,)
[formatter_short]
format=%(message)s
"""


def misbehave(environ, _start_response):
    """Configure it, and say so to wsgi.errors."""
    logging.config.fileConfig(io.StringIO(CONFIGURATION))
    tell(environ, "after fileConfig")


application = staged(misbehave)
