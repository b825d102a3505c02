"""What can go wrong, each with what the layer above needs in order to answer it."""

from __future__ import annotations


class ProtocolError(Exception):
    """The client's bytes are refused.

    Args:
        status: the status code to answer (RFC 9110 §15), after which the connection closes.
        message: one line for the response body and the log; says what was refused, without
            repeating the client's bytes.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClientDisconnected(ConnectionError):  # noqa: N818  # an event, not a mistake
    """The client went away, or took no byte within the write deadline."""


class ApplicationError(Exception):
    """The application broke PEP 3333; the message names the rule."""


class LoopError(Exception):
    """The event loop cannot go on: it has failed again and again, and nothing between worked."""


class StartError(Exception):
    """The process cannot start (a port in use, an application that fails to import)."""


class LoadError(StartError):
    """The application cannot be loaded; the cause is kept where its own code has to do with it."""
