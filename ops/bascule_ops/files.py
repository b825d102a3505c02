"""The files that come with the package: configuration of others, and the runbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
SUPERVISOR: Final = _PACKAGE / "stack" / "supervisord.conf"
SITE: Final = _PACKAGE / "stack" / "supervisord-site.conf"
GOACCESS: Final = _PACKAGE / "stack" / "goaccess.conf"
# In the checkout these are links: to nginx/ at its top, and to ops/runbooks/.
NGINX: Final = (_PACKAGE / "nginx").resolve()
RUNBOOKS: Final = (_PACKAGE / "runbooks").resolve()
