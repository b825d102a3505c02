"""gunicorn as the baseline: the settings of our server and of the stack, under gunicorn's names.

Read by gunicorn (``--config``) in the workers' virtual environment, where Bascule's packages are.
https://docs.gunicorn.org/en/stable/settings.html
"""

import math
import os

from bascule.config import CHAIN_ENTRY, build
from bascule_ops.settings.variables import directory
from bascule_ops.settings.variables import workers as number_of_workers

_server = build(os.environ.get("BASCULE_APP") or CHAIN_ENTRY, {}, os.environ)

wsgi_app = _server.application
bind = f"unix:{directory('RUN_DIR', os.environ)}/gunicorn.sock"
worker_class = "gthread"
workers = number_of_workers(os.environ)
threads = _server.threads
backlog = _server.backlog
# Whole seconds are all that it takes.
timeout = math.ceil(_server.timeout)
graceful_timeout = math.ceil(_server.graceful_timeout)
keepalive = math.ceil(_server.keep_alive)
limit_request_line = _server.limit_request_line
limit_request_fields = _server.limit_request_fields
limit_request_field_size = _server.limit_request_field_size
accesslog = "-"
loglevel = _server.log_level
control_socket_disable = True
# Its workers' heartbeat files; on a disk they could stall it.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - in memory
