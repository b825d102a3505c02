"""Configures logging by dictConfig, which disables every logger that it does not name."""

import logging.config

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#1051"
LOGGED = r"KeyError: 'price of nothing'"
BORNE_BY = "own_log"
STATUS = 500

logging.config.dictConfig(
    {
        "version": 1,
        "formatters": {"long": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"null": {"class": "logging.NullHandler", "formatter": "long"}},
        "root": {"handlers": ["null"], "level": "INFO"},
    }
)


def misbehave(_environ, _start_response):
    """Raise: the traceback is what must not be lost."""
    raise KeyError("price of nothing")


application = staged(misbehave)
