"""Asks upstreams at intervals whether they are well, from a thread of its own.

The thread starts with the first request, never before: a server that loads the application and
then forks would leave it behind. It is a daemon thread and ends with the process.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bascule_middleware.links.forward.intermediary import Outgoing
from bascule_middleware.links.forward.retry import UpstreamError

if TYPE_CHECKING:
    from bascule_middleware.links.forward.balance import Balancer, Member
    from bascule_middleware.links.forward.upstreams import Upstream

_log = logging.getLogger("bascule.forward")


class HealthChecks:
    """Active checks of the upstreams of one link: a GET, to which 200 to 399 is a pass.

    Args:
        upstreams: whom to ask, and as whom the balancer knows them.
        balancer: is told the outcome.
        path: of the request, with a query if wanted.
        host: the value of Host.
        interval: seconds between two rounds.
        timeout: seconds for an answer.
    """

    def __init__(
        self,
        upstreams: Mapping[Member, Upstream],
        balancer: Balancer,
        *,
        path: str,
        host: str,
        interval: float,
        timeout: float,
    ) -> None:
        self._upstreams = upstreams
        self._balancer = balancer
        fields = {"Host": host, "User-Agent": "bascule-health-check"}
        self._request = Outgoing("GET", path, fields, 0)
        self._interval = interval
        self._timeout = timeout
        self._lock = threading.Lock()
        self._started_in = 0  # process id

    def start(self) -> None:
        """Start the thread, if this process has not got it yet."""
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in != os.getpid():
                self._started_in = os.getpid()
                threading.Thread(target=self._run, name="health checks", daemon=True).start()

    def check(self) -> None:
        """Ask each upstream once."""
        for member, upstream in self._upstreams.items():
            reason = self._ask(upstream)
            if self._balancer.checked(member, passed=not reason):
                state = "healthy" if member.healthy else "unhealthy"
                _log.log(
                    logging.INFO if member.healthy else logging.WARNING,
                    "upstream %s is %s%s",
                    member.name,
                    state,
                    f": {reason}" if reason else "",
                    extra={"event": f"upstream_{state}", "upstream": member.name},
                )

    def _run(self) -> None:
        while True:
            try:
                self.check()
            except Exception:
                # No more checks would mean that what is out stays out.
                _log.exception("health checks failed", extra={"event": "health_checks_failed"})
            time.sleep(self._interval)

    def _ask(self, upstream: Upstream) -> str:
        """Return why the check failed; an empty string if it passed."""
        try:
            response = upstream.send(self._request, None, timeout=self._timeout)
        except UpstreamError as error:
            return str(error)
        response.close()
        return "" if response.status[0] in "23" else f"it answered {response.status}"
