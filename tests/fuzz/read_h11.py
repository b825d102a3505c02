"""h11, in the role of a server."""

from __future__ import annotations

import h11

from tests.fuzz.reading import Ending, Message, Reading, variables_of

# As much as the server takes of a head, so that h11's own limit hides no difference.
_MOST = 128 * 1024


def read(data: bytes) -> Reading:
    """Return what h11 makes of a stream: each request read by a connection of its own."""
    messages: list[Message] = []
    while data:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST)
        connection.receive_data(data)
        try:
            complete = _read_one(connection, messages)
        except h11.RemoteProtocolError as error:
            return Reading(messages, Ending.REFUSED, str(error))
        if not complete:
            return Reading(messages, Ending.WAITS)
        if messages[-1].keep_alive is False:
            return Reading(messages, Ending.CLOSED)
        data, _ = connection.trailing_data
    return Reading(messages, Ending.BOUNDARY)


def _read_one(connection: h11.Connection, messages: list[Message]) -> bool:
    """Add the first request to the messages; return whether it is complete."""
    body = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            messages.append(
                Message(
                    event.method.decode("latin-1"),
                    event.target.decode("latin-1"),
                    # A higher minor version is the highest that a server has (RFC 9110 §2.5).
                    min(int(event.http_version[-1:]), 1),
                    variables_of(event.headers, event.target),
                )
            )
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            # It does not tell where an Upgrade is asked for.
            persists = {h11.DONE: True, h11.MUST_CLOSE: False}.get(connection.their_state)
            messages[-1] = messages[-1]._replace(body=body, keep_alive=persists)
            return True
        else:
            return False
