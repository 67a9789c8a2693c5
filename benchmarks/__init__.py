"""Speed as a ratio to a peer, measured in the same run. `python -m benchmarks.views` and so on."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds(work: Callable[[], object]) -> float:
    """Of this process and all its threads; what others do on the machine in the meantime is not counted."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    amount: float,
    peer_amount: float,
    unit: str,
    repeats: int = 5,
) -> dict[str, float | str]:
    """Time `ours` and `peer` alternately, `repeats` times each after one warm-up, and compare medians.

    `amount` and `peer_amount` are the units of work (images, say) that one call of each does; the
    peer may do less of it where it is slow. Returns rates per second: {ours, peer, ratio, unit},
    ratio above 1 when we are faster.
    """
    ours(), peer()
    times = [(seconds(ours), seconds(peer)) for _ in range(repeats)]
    ours_rate = amount / statistics.median(t for t, _ in times)
    peer_rate = peer_amount / statistics.median(t for _, t in times)
    return {
        "ours": round(ours_rate, 1),
        "peer": round(peer_rate, 1),
        "ratio": round(ours_rate / peer_rate, 2),
        "unit": unit,
    }


def report(result: dict) -> None:
    """Print the result as the last line, JSON, for machines."""
    print(json.dumps(result), flush=True)
