"""The workers' counters, as a snapshot has them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from bascule.told import metrics
from bascule_ops.observe import counters
from bascule_ops.observe.asking import SourceError

from tests.ops.observed import Parts, healthy, look, metrics_document


def count(directory: Path, worker: str, requests: int) -> None:
    """Have a worker of that name start and answer."""
    cells = metrics.claim(str(directory / "metrics"), worker)
    assert cells
    cells[metrics.STATUSES + 1] += requests
    cells[metrics.DURATIONS] += requests
    cells[metrics.DURATION_SUM] += 1_500_000


def of_snapshot(stack: Parts) -> dict[str, dict[str, int]]:
    """The requests of each worker that a snapshot knows of."""
    document = look(stack.settings)
    assert document["errors"]["metrics"] is None
    return {
        kind: {
            each["worker"]: each["metrics"]["requests"]["2xx"]
            for each in document[kind]
            if each["metrics"]
        }
        for kind in ("workers", "retired")
    }


def test_they_have_the_shape_that_everybody_relies_on(tmp_path: Path) -> None:
    count(tmp_path, "0", 7)
    (found,) = counters.read(tmp_path / "metrics").values()
    assert found.keys() == metrics_document().keys()
    assert found["requests"] == {"1xx": 0, "2xx": 7, "3xx": 0, "4xx": 0, "5xx": 0}
    assert (found["duration"]["sum_s"], found["duration"]["count"], found["starts"]) == (1.5, 7, 1)
    assert found["duration"]["buckets"][0] == [0.0005, 7]
    assert json.loads(json.dumps(found)) == found


def test_who_counted_and_is_no_worker_any_more_is_kept_apart() -> None:
    with healthy() as stack:
        for number, worker in enumerate(("0", "1", "5", "9"), 1):
            count(stack.directory, worker, number)
        assert of_snapshot(stack) == {
            "workers": {"0": 1, "1": 2},
            "retired": {"5": 3, "9": 4},
        }


def test_a_stack_that_was_made_smaller_shows_fewer_workers() -> None:
    with healthy() as stack:
        count(stack.directory, "0", 1)
        count(stack.directory, "1", 2)
        settings = dataclasses.replace(stack.settings, workers=1)
        document = look(settings)
        assert [each["worker"] for each in document["workers"]] == ["0"]
        assert [each["worker"] for each in document["retired"]] == ["1"]


@pytest.mark.parametrize("content", [b"", b"something else", bytes(metrics.FILE_SIZE)])
def test_another_file_is_told_and_no_reason_to_fail(content: bytes) -> None:
    with healthy() as stack:
        path = stack.directory / "metrics"
        path.write_bytes(content)
        with pytest.raises(SourceError):
            counters.read(path)
        document = look(stack.settings)
        (failed,) = (check for check in document["checks"] if not check["ok"])
        assert failed["name"] == "metrics"
        assert "the workers' counters cannot be read" in failed["message"]
