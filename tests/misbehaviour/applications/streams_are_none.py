"""Sets sys.stdout and sys.stderr to None at the import, as a windowed program has them."""

import sys

from tests.misbehaviour.stage import staged, tell

LOGGED = r"after the streams were set to None"
BORNE_BY = "own_stdout"

sys.stdout = sys.stderr = None


def misbehave(environ, _start_response):
    """Print, which does nothing then."""
    print("to nobody")
    tell(environ, "after the streams were set to None")


application = staged(misbehave)
