"""Hypothesis's profile for the tests of the server's modules."""

from __future__ import annotations

from tests.rfc9112 import profiles

profiles.load()
