"""Any application of this package under wsgiref.validate.

Nothing is exported by name: ``tests.applications.validated:echo`` is the application of
``tests.applications.echo`` wrapped in the validator.
"""

from __future__ import annotations

import importlib
import wsgiref.validate


def __getattr__(name):
    """Return the application of the module `name`, validated."""
    if name.startswith("_"):
        raise AttributeError(name)
    module = importlib.import_module(f"tests.applications.{name}")
    return wsgiref.validate.validator(module.application)
