"""What a client prefers among several representations: the field Accept (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Accept      = #( media-range [ weight ] )
# media-range = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters
# weight      = OWS ";" OWS "q=" qvalue                                        (RFC 9110 §12.4.2)
# qvalue      = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch


def preferred(accept: str, offers: Sequence[str]) -> str | None:
    """Return the media type of `offers` that a client likes best; None where it takes none.

    `accept` is the field's value; an empty one takes anything. Among equal weights the more exact
    range wins, then the order of the offers: "text/html, */*" asks for HTML, and "*/*" alone for
    whatever comes first. Parameters other than the weight are not compared, and a range whose
    weight is malformed does not count.
    """
    weights = _weights(accept)
    if not weights:
        weights = {"*/*": 1.0}

    def rank(offer: str) -> tuple[float, int]:
        ranges = ("*/*", f"{offer.partition('/')[0]}/*", offer)
        exactness = max((n for n in range(3) if ranges[n] in weights), default=None)
        # RFC 9110 §12.5.1: the most specific range that matches decides, not the kindest one.
        return (0.0, 0) if exactness is None else (weights[ranges[exactness]], exactness)

    best = max(offers, key=rank)
    return best if rank(best)[0] else None


def _weights(accept: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        values = [text[2:] for text in parameters if text.startswith("q=")]
        value = values[0] if values else "1"
        if media_range and _QVALUE(value):
            weights[media_range] = max(float(value), weights.get(media_range, 0.0))
    return weights
