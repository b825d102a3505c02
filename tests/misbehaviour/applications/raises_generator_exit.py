"""Raises GeneratorExit and StopIteration, which loops take for an end."""

from tests.misbehaviour.stage import staged

LOGGED = r"GeneratorExit: raised by hand"
BORNE_BY = "exceptions"
REQUESTS = 8
STATUS = 500


def misbehave(_environ, _start_response):
    """Raise the one, caused by the other."""
    raise GeneratorExit("raised by hand") from StopIteration("as well")


application = staged(misbehave)
