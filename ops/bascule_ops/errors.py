"""Why a command ends without having done what it was asked for; the text is for its user."""

from __future__ import annotations


class CommandError(Exception):
    """It was tried and did not work.

    Attributes:
        status: the exit status.
    """

    status = 1


class Refused(CommandError):  # noqa: N818 (as one says it: the call was refused)
    """The call, or a setting, is wrong."""

    status = 2


class NotRunning(CommandError):  # noqa: N818
    """There is no stack to ask."""

    status = 3
