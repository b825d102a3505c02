"""The one operation by which a server is replaced: restarted, deployed, scaled, rolled back.

New workers start beside the old ones and hold back (``--hold``): each listens on a name that it has
bound beside the path it is to take. When all of them answer there, they take the paths over, each
with one rename(2), and the old ones finish what they have and end. Until the take-over the old ones
have not noticed anything, whatever fails; from there the operation is finished, whatever interrupts
it. Where one was killed, the site shows how far it had come, and `mend` brings it to its end. Where
workers run, in processes of this machine or in containers, is for a `Site` to know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bascule_ops.control.interrupts import Interrupted, Interrupts
from bascule_ops.control.output import say, warn
from bascule_ops.errors import CommandError
from bascule_ops.generations.steps import Steps


@dataclass(frozen=True, slots=True)
class Left:
    """What an operation left that was killed: a generation beside the one that serves.

    Attributes:
        what: what a generation is here, for people.
        serves: which one serves.
        other: which one is left; empty where that has gone, and it is to be made once more.
        has_taken_over: whether the new one serves, and the other is the old one.
    """

    what: str
    serves: str
    other: str
    has_taken_over: bool


class Site(Protocol):
    """A place with a generation of workers that serves, and room for another one.

    Each method may raise `CommandError`, or be interrupted. Where one returns a text, it is told
    with the step, or is empty. From `take_over` on each may be done again, by another process.

    Attributes:
        what: what `prepare` looks at, for people.
        note: what is to be said at the end, beside that it is done; or empty.
    """

    what: str
    note: str

    def left(self) -> Left | None:
        """What was left by an operation that was killed; the site then goes on from there."""

    def prepare(self) -> str:
        """See that there is something to start, and that its settings are right."""

    def release(self) -> None:
        """Run what the Procfile has to be done before a version is put into service, if anything.

        Raises `CommandError` where it fails; it has said why.
        """

    def start(self) -> str:
        """Start the new generation, held back."""

    def try_new(self, limit: float | None) -> int:
        """Wait until every new worker answers; return how many they are.

        Raises `CommandError` after `limit` seconds, or as soon as one cannot be started. Without a
        limit it is `starts.limit`.
        """

    def abandon(self) -> str:
        """Remove every generation but the one that has the name; return who serves."""

    def take_over(self) -> None:
        """Keep the old workers from the sockets, and let the new ones have them."""

    def tell_nginx(self) -> str:
        """Have nginx learn how many workers there are, and its new settings."""

    def retire(self, limit: float | None, proven: Callable[[], None], /) -> str:
        """Give the new generation the name of what serves, and have the old one end.

        The old one finishes what it has. `proven` is called before the name is given. `limit` is as
        that of `try_new`.
        """


def replace(
    site: Site, limit: float | None, interrupts: Interrupts, proven: Callable[[], None]
) -> None:
    """Do it; the new workers have `limit` seconds to answer (see `Site.try_new`).

    `proven` is as that of `Site.retire`.

    Raises `CommandError` or `Interrupted`; where that comes before the take-over, the old ones go
    on as if nothing had been.
    """
    steps = Steps(6)
    try:
        with steps.step(site.what):
            steps.result = site.prepare()
        site.release()
        with steps.step("new workers beside the old ones"):
            steps.result = site.start()
        with steps.step("they answer"):
            steps.result = f"{site.try_new(limit)} of them"
    except BaseException as error:
        interrupts.ignore()
        unchanged = f"Nothing has changed: {site.abandon()}."
        if isinstance(error, CommandError):
            raise type(error)(f"{error}. {unchanged}") from error
        warn(f"Interrupted. {unchanged}" if isinstance(error, Interrupted) else unchanged)
        raise
    interrupts.ignore()
    _finish(site, limit, steps, proven)


def mend(
    site: Site, left: Left, limit: float | None, interrupts: Interrupts, proven: Callable[[], None]
) -> None:
    """Bring to its end what was killed: the new generation serves already, or goes.

    Args:
        site: the site, which has told what was left.
        left: that.
        limit: as that of `replace`.
        interrupts: those of the command.
        proven: as that of `replace`.
    """
    interrupts.ignore()
    if left.has_taken_over:
        _finish(site, limit, Steps(3), proven)
    else:
        say(f"Removed: {left.what} {left.other}; {site.abandon()}.")
        site.tell_nginx()  # it may be the old ones that were about to end


def _finish(site: Site, limit: float | None, steps: Steps, proven: Callable[[], None]) -> None:
    with steps.step("they take the sockets over"):
        site.take_over()
    with steps.step("nginx learns how many they are"):
        steps.result = site.tell_nginx()
    with steps.step("the old ones finish what they have"):
        steps.result = site.retire(limit, proven)
