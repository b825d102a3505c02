"""Times and durations, as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration(text: str) -> float:
    """Seconds of a duration such as 500ms, 10s, 1.5h.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is no duration: write 500ms, 10s, 5m, 2h or 1d')
    return float(match[1]) * _SECONDS[match[2]]


def moment(text: str, now: datetime) -> str:
    """The time that `text` names, in the form of the log (RFC 3339, UTC, milliseconds).

    Args:
        text: a duration before `now`, or a date and time; without a zone it is UTC.
        now: with a zone.

    Raises:
        ValueError: it is neither.
    """
    if _DURATION.fullmatch(text):
        return rfc3339(now - timedelta(seconds=duration(text)))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is no time: write 10m (ten minutes ago) or 2026-11-21T10:00Z'
        ) from None
    return rfc3339(when if when.tzinfo else when.replace(tzinfo=UTC))


def rfc3339(when: datetime) -> str:
    """A time in the form of the log."""
    utc = when.astimezone(UTC).isoformat(timespec="milliseconds")
    return utc.removesuffix("+00:00") + "Z"


def seconds(time: str) -> float:
    """Seconds since the epoch of a time of the log; 0 for one that there is not, as 30 February."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0


def from_seconds(seconds_: float) -> str:
    """Seconds since the epoch in the form of the log."""
    return rfc3339(datetime.fromtimestamp(seconds_, UTC))


def shifted(time: str, seconds_: float) -> str:
    """A time of the log, so many seconds later."""
    return rfc3339(datetime.fromisoformat(time) + timedelta(seconds=seconds_))


def shown(seconds_: float) -> str:
    """A duration for a person, with a unit that suits it."""
    if seconds_ < 0.9995:
        return f"{seconds_ * 1000:.0f} ms"
    if seconds_ < 59.95:
        return f"{seconds_:.1f} s"
    minutes = round(seconds_ / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
