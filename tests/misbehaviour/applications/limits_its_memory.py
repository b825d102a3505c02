"""Limits the process's address space to what it has, takes all of it, and gives it back."""

import resource

from tests.misbehaviour.stage import staged

LOGGED = r"MemoryError"
BORNE_BY = "exceptions"
STATUS = 500


def misbehave(_environ, _start_response):
    """Take what is left in ever smaller pieces, then fail."""
    with open("/proc/self/statm") as pages:
        size = int(pages.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), most))
    taken = []
    piece = 32 << 20
    try:
        while True:
            try:
                taken.append(bytearray(piece))
            except MemoryError:
                if piece < 4096:
                    raise
                piece //= 2
    finally:
        del taken
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


application = staged(misbehave)
