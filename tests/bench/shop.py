"""What the applications of the frameworks have in common: products in SQLite, and a page's data."""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path
from typing import Final

DATABASE_VARIABLE: Final = "BASCULE_BENCH_DATABASE"
PRODUCTS: Final = 1000
SHOWN: Final = 10

# Any path is a page: this many products from one that depends on the path.
QUERY: Final = "SELECT id, name, price FROM product WHERE id >= {} ORDER BY id LIMIT 10"
TEMPLATE: Final = """<!doctype html>
<title>{{ path }}</title>
<h1>{{ path }}</h1>
<p>Visit {{ visits }}</p>
<ul>{% for product in products %}
<li><a href="/product/{{ product.0 }}">{{ product.1 }}</a> {{ product.2 }}</li>{% endfor %}
</ul>
"""


def create(path: Path) -> None:
    """Write the database."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
        connection.executemany(
            "INSERT INTO product VALUES (?, ?, ?)",
            [(number, f"Product <{number}>", number / 100) for number in range(PRODUCTS)],
        )
    connection.close()


def database() -> str:
    """Return the path of the database."""
    return os.environ[DATABASE_VARIABLE]


def first_product(path: str) -> int:
    """Return the number of the first product on a page."""
    return zlib.crc32(path.encode()) % (PRODUCTS - SHOWN)
