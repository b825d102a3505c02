"""What is held against every stream: one outcome however it is cut, and agreement or a reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from bascule.errors import ProtocolError
from bascule.http.head import HeadParser, HeadReader

from tests.fuzz import read_h11, read_llhttp, read_ours
from tests.fuzz.generate import cut
from tests.fuzz.reading import Ending, Message, Reading
from tests.rfc9112.feeding import fields_of

Reader = Callable[[Iterable[bytes]], Reading]

PEERS: Final[Mapping[str, Callable[[bytes], Reading]]] = {
    "llhttp": read_llhttp.read,
    "h11": read_h11.read,
}
# The share of the streams that are read byte by byte as well, which takes longer than the rest.
_BYTE_BY_BYTE: Final = 1 / 32

# What another parser did with a request that the server reads.
_ENDED: Final = {
    Ending.REFUSED: "refuses",
    Ending.WAITS: "waits",
    Ending.BOUNDARY: "waits",
    Ending.CLOSED: "closes",
    Ending.SWITCHED: "switches",
}
# What a head says.
_HEAD: Final = ("method", "target", "minor", "variables")


class Finding(AssertionError):  # noqa: N818  # a result, not a mistake
    """A stream on which something does not hold.

    Args:
        kind: what does not hold; the same kind again is the same finding.
        detail: both sides of it.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Disagreement(NamedTuple):
    """Where the server and another parser part.

    Attributes:
        peer: the other parser.
        aspect: what the other does ("refuses", "waits", "closes", "switches") with a request
            that the server reads, "reads" one that the server waits for, or the attribute of
            ``Message`` that differs.
        ours: the request as the server reads it; None where it waits for the head.
        theirs: as the other does; None where it has no head of it.
        error: the other's words where it refuses.
    """

    peer: str
    aspect: str
    ours: Message | None
    theirs: Message | None
    error: str


def disagreements(ours: Reading, theirs: Reading, peer: str) -> Iterator[Disagreement]:
    """Yield where two readings of one stream part, up to the first that moves a boundary.

    What the server refuses, another may accept.
    """
    for mine, other in itertools.zip_longest(ours.messages, theirs.messages):
        if mine is not None and other is not None:
            for aspect in _HEAD:
                if getattr(mine, aspect) != getattr(other, aspect):
                    yield Disagreement(peer, aspect, mine, other, "")
        if mine is None or other is None or mine.body is None or other.body is None:
            if ending := _unfinished(ours, theirs, mine, other):
                yield Disagreement(peer, ending, mine, other, theirs.error)
            return
        if mine.body != other.body:
            yield Disagreement(peer, "body", mine, other, "")
            return
        if other.keep_alive not in (mine.keep_alive, None):
            yield Disagreement(peer, "keep_alive", mine, other, "")
            return
        if not mine.keep_alive:
            return


def _unfinished(
    ours: Reading, theirs: Reading, mine: Message | None, other: Message | None
) -> str | None:
    """Return the aspect of a request that one of the two has not, or not to its end."""
    if mine is not None and (mine.body is not None or other is None):
        return _ENDED[theirs.ending]
    theirs_only = other is not None and (mine is None or other.body is not None)
    return "reads" if theirs_only and ours.ending is not Ending.REFUSED else None


Explain = Callable[[Disagreement, bytes], object]


def check(
    data: bytes,
    random: Random,
    explain: Explain,
    *,
    read: Reader = read_ours.read,
    peers: Mapping[str, Callable[[bytes], Reading]] = PEERS,
    byte_by_byte: float = _BYTE_BY_BYTE,
) -> Sequence[Disagreement]:
    """Hold everything against one stream; return the disagreements, all of them explained.

    Args:
        data: the stream.
        random: where to cut it.
        explain: tells whether a disagreement is on the list (``differences.explanation``).
        read: the server's readers.
        peers: the parsers to compare with.
        byte_by_byte: the share of streams that are read in pieces of one byte, too.

    Raises:
        Finding: something does not hold.
    """
    ours = _read(read, [data])
    if ours.status is not None and ours.status not in read_ours.REFUSALS:
        raise Finding("an unknown status", f"{ours.status}: {ours.error}")
    _check_cut(data, read, ours, cut(data, random))
    if random.random() < byte_by_byte:
        _check_cut(data, read, ours, [data[at : at + 1] for at in range(len(data))])
    if not ours.messages and ours.ending is Ending.REFUSED:
        return ()
    if ours.messages:
        _check_memos(data, ours.messages[0])
    found = []
    for name, read_peer in peers.items():
        for each in disagreements(ours, read_peer(data), name):
            if not explain(each, data):
                reason = each.error.partition(":")[0]  # what follows repeats the stream
                detail = f"ours {each.ours}, {name} {each.error or each.theirs}"
                raise Finding(f"{name} {each.aspect} {reason}".rstrip(), detail)
            found.append(each)
    return found


def _read(read: Reader, pieces: list[bytes]) -> Reading:
    try:
        return read(pieces)
    except Exception as error:
        raise Finding(f"an exception: {type(error).__name__}", repr(error)) from error


def _check_cut(data: bytes, read: Reader, whole: Reading, pieces: list[bytes]) -> None:
    reading = _read(read, pieces)
    if reading != whole:
        sizes = [len(piece) for piece in pieces]
        detail = f"{len(data)} bytes, cut into {sizes}: {reading}, but whole: {whole}"
        raise Finding("the outcome depends on how the stream is cut", detail)


def _check_memos(data: bytes, message: Message) -> None:
    """Hold that a parser that has seen nothing before reads the first head as the usual one does."""
    head, end, _ = data.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    try:
        found = HeadReader(HeadParser(read_ours.LIMITS), {}).feed(head + end)
    except ProtocolError as error:
        detail = f"it refuses ({error}) {message}"
        raise Finding("a parser without memories differs", detail) from error
    assert found is not None, "the head is complete"
    request, environ = found
    if (request.method, request.target, fields_of(environ)) != (
        message.method,
        message.target,
        message.variables,
    ):
        raise Finding(
            "a parser without memories differs", f"{request} with {environ}, but {message}"
        )
