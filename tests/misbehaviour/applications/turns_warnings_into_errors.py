"""Has every warning raised, whoever warns."""

import warnings

from tests.misbehaviour.stage import staged

LOGGED = r"DeprecationWarning: an error by now"
BORNE_BY = "exceptions"
REQUESTS = 4
STATUS = 500

warnings.simplefilter("error")


def misbehave(_environ, _start_response):
    """Leave a file open, and warn."""
    open("/dev/null")
    warnings.warn("an error by now", DeprecationWarning, stacklevel=1)


application = staged(misbehave)
