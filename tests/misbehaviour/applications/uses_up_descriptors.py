"""Opens files until there is no descriptor left, fails, and gives them back half a second later."""

import os
import threading

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#49"
LOGGED = r"Too many open files"
BORNE_BY = "exhausted_descriptors"
STATUS = 500


def give_back(descriptors):
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


def misbehave(_environ, _start_response):
    """Take what there is."""
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        threading.Timer(0.5, give_back, [taken]).start()


application = staged(misbehave)
