"""All of them, by name."""

from __future__ import annotations

from tests.foreign.flaskr import FLASKR
from tests.foreign.kinto import KINTO
from tests.foreign.pypiserver import PYPISERVER
from tests.foreign.radicale import RADICALE
from tests.foreign.wagtail import WAGTAIL

APPLICATIONS = {
    "flaskr": FLASKR,
    "wagtail": WAGTAIL,
    "pypiserver": PYPISERVER,
    "radicale": RADICALE,
    "kinto": KINTO,
}
