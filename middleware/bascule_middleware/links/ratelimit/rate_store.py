"""What a store of counts is: the shared table of a machine, or Valkey across machines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from bascule_middleware.links.ratelimit.limits import Limit

# A limit, and what a request is counted by.
Claim = tuple[Limit, tuple[str, ...]]


class Store(Protocol):
    """Where requests are counted."""

    def take(self, claims: Sequence[Claim]) -> tuple[bool, list[int]]:
        """Admit a request where all its claims allow it, and only then count it, in one step.

        Returns whether it is admitted, and each claim's credit (see `rates`) after that. Raises
        StoreAwayError.
        """


class StoreAwayError(Exception):
    """The store does not answer."""


def key_digest(definition: str, parts: tuple[str, ...], secret: bytes = b"") -> bytes:
    """Return 16 bytes that stand for a key, which they do not reveal to who lacks the secret."""
    hashing = hashlib.blake2b(digest_size=16, key=secret)
    for text in (definition, *parts):
        encoded = text.encode("utf-8", "surrogatepass")
        hashing.update(len(encoded).to_bytes(8, "little") + encoded)
    return hashing.digest()
