"""One JSON line a claim, and the clocks it is measured with."""

import json
import time
from collections.abc import Callable, Sequence
from statistics import median


def claim(
    name: str,
    values: Sequence[float],
    target: float | None,
    against: str,
    *,
    at_least: bool = False,
    worst: bool = False,
    rounds: int | None = None,
) -> bool:
    """Print a claim: the median of its rounds (or the worst of them) beside its target, and say whether it is met.

    Where there is no target the figure is told for its own sake, and nothing can be missed.
    """
    value = (min(values) if at_least else max(values)) if worst else median(values)
    met = target is None or (value >= target if at_least else value <= target)
    told = {
        "claim": name,
        "value": round(value, 4),
        "target": target,
        "ok": None if target is None else met,
        "rounds": rounds or len(values),
    }
    print(json.dumps({**told, "against": against}), flush=True)
    return met


def not_run(name: str, reason: str, tried: Sequence[str]) -> bool:
    """Print that a claim could not be measured here, why, and what was tried."""
    print(json.dumps({"claim": name, "ok": None, "reason": reason, "tried": list(tried)}), flush=True)
    return True


def timed(act: Callable[[], object]) -> float:
    """Give the seconds an act takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
