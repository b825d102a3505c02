"""Who is blocked at nginx: behind ``ops/block`` and ``ops/unblock``."""
