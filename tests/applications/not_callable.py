"""Exports something that cannot be called."""

from __future__ import annotations

application = 42
