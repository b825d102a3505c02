"""Who is blocked: a list, and the files that nginx asks for.

Both are in the run directory, `blocked.json` and `blocked/`. The list is the truth, written
whole and renamed into place. The files that it asks for are made before that, and those that it
does not are removed after it: nobody who stays blocked gets through while the list changes, and
where the disk is full nobody is on the list whom nginx lets in. One process at a time changes them
(a lock).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bascule_ops import atomic
from bascule_ops.blocking.markers import Network, markers, parse, written


@dataclass(frozen=True, slots=True)
class Block:
    """One blocked address or network; times are UTC, whole seconds; `until` None: no end."""

    network: Network
    since: datetime
    until: datetime | None
    reason: str

    def document(self) -> dict[str, str | None]:
        """Return it as JSON has it; times as RFC 3339."""
        return {
            "network": written(self.network),
            "since": rfc3339(self.since),
            "until": rfc3339(self.until) if self.until else None,
            "reason": self.reason,
        }


def rfc3339(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Blocks:
    """The blocks of a running stack, kept in its run directory."""

    def __init__(self, run_dir: Path) -> None:
        self._list = run_dir / "blocked.json"
        self._directory = run_dir / "blocked"
        self._lock = run_dir / "blocked.lock"

    def read(self) -> list[Block]:
        """Return what is blocked, the newest last. Raises OSError and ValueError."""
        try:
            text = self._list.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [_block(document) for document in json.loads(text)]

    def add(self, network: Network, until: datetime | None, reason: str) -> Block:
        """Block a network; one that is blocked keeps its `since`, and an empty reason its old one.

        Raises ValueError for one that nginx cannot tell, and OSError.
        """
        markers(network)
        end = until.replace(microsecond=0) if until else None
        made = Block(network, datetime.now(UTC).replace(microsecond=0), end, reason)

        def change(blocks: list[Block]) -> list[Block]:
            nonlocal made
            for block in blocks:
                if block.network == network:
                    made = replace(made, since=block.since, reason=reason or block.reason)
            return [block for block in blocks if block.network != network] + [made]

        self._change(change)
        return made

    def remove(self, network: Network) -> bool:
        """Unblock a network; return whether it was on the list."""
        return bool(self._drop(lambda block: block.network == network))

    def remove_all(self) -> list[Block]:
        """Unblock everybody; return who was blocked."""
        return self._drop(lambda _: True)

    def expire(self, now: datetime) -> list[Block]:
        """Unblock those whose time is over; return them. Cheap where nobody is blocked."""
        if not self._list.exists():
            return []
        if not any(_is_over(block, now) for block in self.read()):
            return []
        return self._drop(lambda block: _is_over(block, now))

    def _drop(self, goes: Callable[[Block], bool]) -> list[Block]:
        gone: list[Block] = []

        def change(blocks: list[Block]) -> list[Block]:
            gone.extend(filter(goes, blocks))
            return [block for block in blocks if block not in gone]

        self._change(change)
        return gone

    def _change(self, change: Callable[[list[Block]], list[Block]]) -> None:
        with self._locked():
            blocks = change(self.read())
            wanted = {name for block in blocks for name in markers(block.network)}
            self._directory.mkdir(mode=0o750, exist_ok=True)
            made = self._make(wanted)
            try:
                atomic.write(self._list, json.dumps([b.document() for b in blocks], indent=1))
            except OSError:
                self._remove(made)
                raise
            self._remove({path.name for path in self._directory.iterdir()} - wanted)

    def _make(self, wanted: Iterable[str]) -> list[str]:
        """Make the files that are missing, all or none; return their names."""
        made: list[str] = []
        try:
            for name in wanted:
                path = self._directory / name
                if not path.exists():
                    path.touch(mode=0o640)
                    made.append(name)
        except OSError:
            self._remove(made)
            raise
        return made

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._directory / name).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_over(block: Block, now: datetime) -> bool:
    return block.until is not None and block.until <= now


def _block(document: dict[str, str | None]) -> Block:
    until = document["until"]
    return Block(
        parse(document["network"] or ""),
        datetime.fromisoformat(document["since"] or ""),
        datetime.fromisoformat(until) if until else None,
        document["reason"] or "",
    )
