"""Raises the limit of recursion and has code in C recurse until the stack is over."""

import sys

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#2848"
LOGGED = r"SIGSEGV|RecursionError"  # since Python 3.12 recursion in C has a limit of its own
BORNE_BY = "replacement"
ENDS_WORKER = True


class Deep:
    """Its text is the text of another one, by way of C."""

    def __repr__(self):
        return "%r" % Deep()


def misbehave(_environ, _start_response):
    """Recurse."""
    sys.setrecursionlimit(10**9)
    repr(Deep())


application = staged(misbehave)
