"""Heads of which all but one field have come before.

A proxy gives each request an id, so that no two heads are alike; but what stands before the id (the
request line and the host) and what comes after it (from whom it is forwarded, and the client's own
fields) often comes again, byte for byte. Each of these two blocks is remembered with what it means.

A block is kept after a head with it was accepted. What a line means does not depend on the others,
so two accepted blocks make a head that is accepted too, but for what follows from the number of
lines and from names that are in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from bascule.http.memo import LONGEST

# Of each of the two kinds; with all that belongs to them a megabyte at the most.
BLOCKS: Final = 512
LONGEST_BLOCK: Final = 1024

_ID: Final = b"\r\nX-Request-ID: "
_ID_VARIABLE: Final = "HTTP_X_REQUEST_ID"

Found = TypeVar("Found")


class HeadMemo(Generic[Found]):
    """Remembers blocks of heads.

    Args:
        most_lines: lines that a head may have, the request line included.
        longest_line: bytes that a field line may have.
        read_fields: returns the variables of field lines (RFC 3875 §4.1).
    """

    def __init__(
        self,
        most_lines: int,
        longest_line: int,
        read_fields: Callable[[list[bytes]], dict[str, str]],
    ) -> None:
        self._most_lines = most_lines
        self._longest_id = min(LONGEST, longest_line - len(_ID))
        self._read_fields = read_fields
        self._openings: dict[bytes, tuple[Found, dict[str, str], int]] = {}
        self._rests: dict[bytes, tuple[dict[str, str], int]] = {}
        self._met: set[int] = set()  # the hashes of blocks that came once

    def find(self, shared: dict[str, Any], head: bytes) -> tuple[Found, dict[str, Any]] | None:
        """Return what a head means and its environ, if both its blocks are known.

        Args:
            shared: what goes into its environ first.
            head: all of it, with the empty line.
        """
        opening, mark, rest = head.partition(_ID)
        known = self._openings.get(opening) if mark else None
        if known is None:
            return None
        number, _, rest = rest.partition(b"\r\n")
        block = self._rests.get(rest)
        # Letters and digits need no other check.
        if block is None or not number.isalnum() or len(number) > self._longest_id:
            return None
        found, variables, lines = known
        fields, more = block
        environ = {**shared, **variables, **fields}
        environ[_ID_VARIABLE] = number.decode("ascii")
        are_apart = len(environ) == len(shared) + len(variables) + len(fields) + 1
        are_few = lines + 1 + more < self._most_lines
        return (found, environ) if are_apart and are_few else None

    def note(self, head: bytes, found: Found, variables: dict[str, str]) -> None:
        """Note a head that was accepted; its blocks are kept from the second time on.

        Args:
            head: all of it, with the empty line; it has a Host field, and no field that says more
                of the request or of the connection than ``found`` does.
            found: what its request line means.
            variables: of its request line.
        """
        opening, mark, rest = head.partition(_ID)
        if not mark:
            return
        rest = rest.partition(b"\r\n")[2]
        if self._comes_again(opening):
            lines = opening.split(b"\r\n")[1:]
            fields = self._read_fields(lines)
            if "HTTP_HOST" in fields:
                _keep(self._openings, opening, (found, {**variables, **fields}, len(lines)))
        if self._comes_again(rest):
            lines = rest.split(b"\r\n")[:-2]
            _keep(self._rests, rest, (self._read_fields(lines), len(lines)))

    def _comes_again(self, block: bytes) -> bool:
        if len(block) > LONGEST_BLOCK:
            return False
        met = hash(block)
        if met in self._met:
            return True
        if len(self._met) >= 2 * BLOCKS:
            self._met.clear()
        self._met.add(met)
        return False


Block = TypeVar("Block")


def _keep(blocks: dict[bytes, Block], block: bytes, meaning: Block) -> None:
    if len(blocks) >= BLOCKS:
        blocks.clear()
    blocks[block] = meaning
