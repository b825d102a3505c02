"""What ``python -m middleware`` of 0.1 says in a checkout; to be removed in 0.3. In no wheel."""

import sys

sys.exit(
    "python -m middleware of Bascule 0.1 is now python -m bascule_middleware (docs/upgrading.md)"
)
