"""Dates: the same as the standard library's, which parses them as well."""

from __future__ import annotations

from email.utils import formatdate

from bascule.http.http_date import imf_fixdate
from hypothesis import given
from hypothesis import strategies as st


def test_it_is_the_example_of_the_rfc() -> None:
    assert imf_fixdate(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.integers(0, 253402300799))
def test_a_date_is_written_as_the_standard_library_reads_it(seconds: int) -> None:
    assert imf_fixdate(seconds) == formatdate(seconds, usegmt=True)
