"""The workers' counters, from the file that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bascule.told import metrics

from bascule_ops.observe.asking import SourceError


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The counters of each worker by its name, as they stand in a snapshot.

    Raises `SourceError` and `OSError`.
    """
    try:
        found = metrics.read(path)
    except metrics.MetricsFileError as error:
        raise SourceError(str(error)) from None
    return {each.worker: _plain(each) for each in found}


def _plain(counted: metrics.WorkerMetrics) -> dict[str, Any]:
    values = counted._asdict()
    del values["worker"]
    for name in ("duration", "queue_wait"):
        histogram = values[name]
        # Lists, as JSON would have them.
        values[name] = vars(histogram) | {"buckets": [list(each) for each in histogram.buckets]}
    return values
