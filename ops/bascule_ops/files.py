"""The files that come with the package: supervisor's, nginx's and GoAccess's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
SUPERVISOR: Final = _PACKAGE / "stack" / "supervisord.conf"
GOACCESS: Final = _PACKAGE / "stack" / "goaccess.conf"
# In the checkout a link to nginx/ at its top.
NGINX: Final = (_PACKAGE / "nginx").resolve()
