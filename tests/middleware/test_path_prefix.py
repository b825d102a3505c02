"""The value that is set for a path."""

from __future__ import annotations

import timeit

import pytest
from bascule_middleware.exchange.path_prefix import LongestPrefix
from bascule_middleware.settings import SettingError


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/shop", "shop"),
        ("/shop/", "shop"),
        ("/shop/x", "shop"),
        ("/shop/cart", "cart"),
        ("/shop/cart/x", "cart"),
        ("/shop/carts", "shop"),
        ("/shopping", None),
        ("/shop\n", None),
        ("//shop", None),
        ("/caf\xc3\xa9/x", "café"),
        ("/", None),
        ("", None),
        ("*", None),
    ],
)
def test_the_longest_prefix_of_whole_segments_is_found(path: str, value: str | None) -> None:
    values = {"/shop": "shop", "/shop/cart/": "cart", "/café": "café"}
    assert LongestPrefix(values, "paths").find(path) == value
    everywhere = LongestPrefix(values | {"/": "rest"}, "paths")
    assert everywhere.find(path) == (value or "rest")


@pytest.mark.parametrize("path", ["/", "", "/x", "*"])
def test_without_a_prefix_there_is_no_value(path: str) -> None:
    assert LongestPrefix({}, "paths").find(path) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shop": 1}, '"shop" does not begin with "/"'),
        ({"/shop": 1, "/shop/": 2}, '"/shop/" is there twice'),
    ],
)
def test_a_wrong_prefix_is_explained(values: dict[str, int], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        LongestPrefix(values, "paths")
    assert str(caught.value) == f'setting "paths": {message}'


@pytest.mark.parametrize("hostile", ["/" * 4000, "/a" * 2000, "/shop/" + "a/" * 2000])
def test_a_path_of_many_segments_costs_little_more_than_a_short_one(hostile: str) -> None:
    find = LongestPrefix({"/shop": 1, "/shop/a/b": 2}, "paths").find

    def seconds(path: str) -> float:
        return min(timeit.repeat(lambda: find(path), number=100, repeat=5))

    # Segment by segment it was 10,000 times as much.
    assert seconds(hostile) < 50 * seconds("/shop/a")
