"""Numbers as arguments of a command: types for argparse, which say what is wrong with a value."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def number_between(least: float, most: float) -> Callable[[str], float]:
    """Return a type for numbers from `least` to `most`."""

    def convert(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            found = least - 1
        if least <= found <= most:
            return found
        raise argparse.ArgumentTypeError(f"{value!r} is no number from {least:g} to {most:g}")

    return convert


def whole_number_up_to(most: int | None) -> Callable[[str], int]:
    """Return a type for whole numbers from 1 to `most`; None for no bound."""
    upward = "up" if most is None else f"to {most}"

    def convert(value: str) -> int:
        if value.isdecimal() and int(value) > 0 and (most is None or int(value) <= most):
            return int(value)
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number from 1 {upward}")

    return convert
