"""Counts requests in Valkey: exact across machines.

One script decides about a request and counts it; Valkey runs it as one step, on its own clock. A
key is there for as long as it counts anything.

Requests never wait for a Valkey that is away. The first that gets no answer in time finds that out,
and until a thread has seen it work again, `take` raises at once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache

import valkey
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError
from valkey.retry import Retry

from bascule_middleware.links.ratelimit.rate_store import Claim, StoreAwayError, key_digest

PREFIX = "bascule:ratelimit:"
PAUSE = 1.0  # seconds between two tries of a Valkey that is away
MEMO_ENTRIES = 4096  # keys in turn on one worker

# The arithmetic of `rates`. A Lua number is exact up to 2^53, which is less than the nanoseconds
# since 1970: a TAT is stored as text, and what is calculated with is the debt, its distance to now.
# A clock that was set back makes a debt larger than any can be; it counts as the largest.
SCRIPT = """
local time = redis.call('TIME')
local seconds, nanoseconds = tonumber(time[1]), time[2] * 1000
local left, admitted = {}, 1
for i, key in ipairs(KEYS) do
    local interval, capacity = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local debt, tat = 0, redis.call('GET', key)
    if tat then
        debt = (string.sub(tat, 1, -10) - seconds) * 1e9 + string.sub(tat, -9) - nanoseconds
        debt = math.max(0, math.min(debt, capacity))
    end
    left[i] = capacity - debt
    if left[i] < interval then
        admitted = 0
    end
end
if admitted == 1 then
    for i, key in ipairs(KEYS) do
        local interval, capacity = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
        left[i] = left[i] - interval
        local debt = capacity - left[i]
        local tat = nanoseconds + debt
        redis.call('SET', key,
            string.format('%.0f%09.0f', seconds + math.floor(tat / 1e9), tat % 1e9),
            'PX', math.ceil(debt / 1e6))
    end
end
return {admitted, unpack(left)}
"""

_log = logging.getLogger("bascule.ratelimit")


class ValkeyStore:
    """The counts in the Valkey at `url`. Nothing is asked of it before the first request."""

    def __init__(self, url: str, timeout: float) -> None:
        """`timeout`: seconds for a connection, and for an answer. ValueError: it is no URL."""
        self._client = valkey.Valkey.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A script that got no answer may have counted: not to be run again.
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._client.register_script(SCRIPT)
        self._is_away = False
        self._mutex = threading.Lock()
        _stores.add(self)

    def take(self, claims: Sequence[Claim]) -> tuple[bool, list[int]]:
        """Admit and count a request, or refuse it: `take` of rate_store.Store."""
        if self._is_away:
            raise StoreAwayError
        keys = [_key(limit.definition, parts) for limit, parts in claims]
        costs = [cost for limit, _ in claims for cost in (limit.rate.interval, limit.rate.capacity)]
        try:
            admitted, *credits_left = self._script(keys=keys, args=costs)
        except (ValkeyError, OSError) as error:
            self._lose(error)
            raise StoreAwayError from error
        return admitted == 1, credits_left

    def _lose(self, error: Exception) -> None:
        with self._mutex:
            if self._is_away:
                return
            self._is_away = True
        _log.warning(
            "Valkey does not count: %s",
            " ".join(str(error).split()),
            extra={"event": "rate_store_away"},
        )
        threading.Thread(
            target=_find, args=(weakref.ref(self),), name="find Valkey", daemon=True
        ).start()

    def find(self) -> bool:
        """Try whether Valkey runs the script; that it answers is not enough, it may be full."""
        try:
            self._script(keys=[PREFIX + "probe"], args=[1, 1])
        except (ValkeyError, OSError):
            return False
        self._is_away = False
        _log.info("Valkey counts again", extra={"event": "rate_store_back"})
        return True

    def forked(self) -> None:
        """Forget what only the parent's threads know."""
        self._mutex = threading.Lock()
        self._is_away = False


_stores: weakref.WeakSet[ValkeyStore] = weakref.WeakSet()


def _find(store: weakref.ref[ValkeyStore]) -> None:
    """Try until Valkey is found, or nobody asks any more."""
    while True:
        time.sleep(PAUSE)
        asking = store()
        if asking is None or asking.find():
            return
        del asking


def _forked() -> None:
    for store in _stores:
        store.forked()


os.register_at_fork(after_in_child=_forked)


@lru_cache(MEMO_ENTRIES)
def _key(definition: str, parts: tuple[str, ...]) -> str:
    return PREFIX + key_digest(definition, parts).hex()
