"""What ``python -m server`` of 0.1 says in a checkout; to be removed in 0.3. In no wheel."""

import sys

sys.exit("python -m server of Bascule 0.1 is now python -m bascule (docs/upgrading.md)")
