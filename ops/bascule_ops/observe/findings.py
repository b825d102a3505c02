"""What a check of a stack says (`bascule_ops.observe.checks`), and what several of them look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bascule_ops.program import spelled

Document = dict[str, Any]  # a snapshot's


@dataclass(frozen=True, slots=True)
class Check:
    """A finding.

    Attributes:
        name: of what was looked at.
        ok: whether it is well.
        message: what was found.
        remedy: what to do about it; empty where all is well.
        note: whether it is worth telling although all is well: somebody is at work on it, or it
            was broken a moment ago.
    """

    name: str
    ok: bool
    message: str
    remedy: str = ""
    note: bool = False


def good(name: str, message: str) -> Check:
    """All is well."""
    return Check(name, True, message)


def noted(name: str, message: str) -> Check:
    """All is well, and somebody who looks should know this of it."""
    return Check(name, True, message, note=True)


def bad(name: str, message: str, remedy: str) -> Check:
    """It is not well, and this is to be done about it."""
    return Check(name, False, message, spelled(remedy))


def answering(document: Document) -> list[Document]:
    """The workers that told of themselves."""
    return [worker for worker in document["workers"] if "error" not in worker]


def serving(document: Document) -> list[Document]:
    """Those of them that take requests."""
    return [worker for worker in answering(document) if worker["state"] == "serving"]


def count(number: int, one: str, many: str) -> str:
    """``1 request hangs``, ``2,000 requests hang``, ``no request hangs``."""
    return f"{number or 'no'} {one}" if number < 2 else f"{number:,} {many}"
