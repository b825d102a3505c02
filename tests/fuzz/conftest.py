"""Hypothesis's profile, as the tests of the wire have it."""

from __future__ import annotations

from tests.rfc9112 import profiles

profiles.load()
