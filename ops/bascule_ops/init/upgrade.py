"""``--upgrade``: what this version of Bascule would write, beside what is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from bascule_ops import atomic
from bascule_ops.init.plan import Plan, digests


@dataclass(frozen=True, slots=True)
class Change:
    """A file that would be another one now.

    Attributes:
        name: of the file.
        before, after: its texts.
        is_untouched: nobody has changed it since it was written.
    """

    name: str
    before: str
    after: str
    is_untouched: bool

    def diff(self) -> str:
        """The change as ``diff -u`` shows it, without the line that names the version."""
        before, after = (each.splitlines()[1:] for each in (self.before, self.after))
        names = (f"a/{self.name}", f"b/{self.name}")
        return "\n".join(difflib.unified_diff(before, after, *names, lineterm=""))


def changes(plan: Plan) -> Iterator[Change]:
    """Those of our files that this version would write otherwise than they were written."""
    for name in plan.parts()[1]:
        before, after = (plan.root / name).read_text(encoding="utf-8"), plan.texts[name]
        written, now = digests(before)
        if written and written != digests(after)[0]:
            yield Change(name, before, after, written == now)


def apply(plan: Plan, change: Change) -> None:
    """Replace an untouched file."""
    atomic.write(plan.root / change.name, change.after)
