"""Reloads modules of the standard library that the server is built on."""

import importlib
import logging
import os
import select
import socket
import threading
import time

from tests.misbehaviour.stage import staged

LOGGED = r"ValueError: after the reload"
BORNE_BY = "own_log"
REQUESTS = 2
STATUS = 500


def misbehave(_environ, _start_response):
    """Reload them, and raise; logging has no handlers after that."""
    for module in (logging, os, select, socket, threading, time):
        importlib.reload(module)
    logging.lastResort = None
    raise ValueError("after the reload")


application = staged(misbehave)
