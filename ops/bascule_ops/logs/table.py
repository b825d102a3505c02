"""Rows of text as an aligned table."""

from __future__ import annotations

from collections.abc import Sequence


def lines(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """The header's line and the rows'.

    Args:
        header: the columns' names.
        rows: a text for each column.
        left: from this column on, text is aligned to the left; before it to the right, as numbers.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if number >= left else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
