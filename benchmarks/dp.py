"""Claims of the differential-privacy layer, each measured against a peer or a limit in the same run; one JSON line a claim.

`python benchmarks/dp.py` measures every claim that our own environment can (ten minutes on two cores); `--quick` leaves out ten
million rows, opendp's own path and the written plan; `--peers` adds the engines and the accountant that need environments of
their own, which it makes in a cache folder the first time (some 2 GB, and a Java run time for one).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from anonymisation import noise
from benchmarks import analysis_plan
from benchmarks.privacy import accounting, hostile, ledger_load, opendp_path, own_environments, speed
from benchmarks.privacy.claims import claim
from benchmarks.privacy.made_up import KEPT, ROWS, table

ROUNDS, ROUNDS_OF_TEN = 15, 3


def quick() -> Iterator[bool]:
    """A million rows and everything that needs none."""
    yield from ledger_load.claims()  # before anything starts threads: its writers are forks
    noise.warm()
    ratio = accounting.ours_for() / accounting.exact_for()
    against = "the exact privacy loss distribution, in closed form for Gaussians (Balle and Wang 2018)"
    yield claim(f"epsilon of {accounting.ANSWERS} answers", [ratio], 1.10, against)
    yield claim("price: ms a question", speed.prices(), 10, "limit")
    yield from hostile.claims()
    yield from speed.aggregates(table(), ROUNDS, "1 M")


def whole() -> Iterator[bool]:
    """Ten million rows, opendp's own path, and the written plan."""
    small = table()
    yield from opendp_path.speed(small, "1 M")
    yield from opendp_path.utility(table(opendp_path.UTILITY_ROWS, KEPT), "nobody above the bounds")
    yield from opendp_path.utility(table(opendp_path.UTILITY_ROWS), "a few patients above the bounds")
    large = table(10 * ROWS)
    yield from speed.aggregates(large, ROUNDS_OF_TEN, "10 M")
    yield claim("growth of our time from 1 to 10 M rows", speed.growth(small, large), 10, "ours on 1 M rows")
    del large
    with tempfile.TemporaryDirectory() as folder:
        found = analysis_plan.run(Path(folder), analysis_plan.SEED, analysis_plan.PATIENTS)
    yield from analysis_plan.claims([found], analysis_plan.PATIENTS)


def peers() -> Iterator[bool]:
    """What needs an environment of its own."""
    yield from own_environments.accountant()
    with tempfile.TemporaryDirectory() as folder:
        yield from own_environments.engines(table(), Path(folder))


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument(
        "--quick", action="store_true", help="leave out 10 million rows, opendp's path, the plan"
    )
    flags.add_argument(
        "--peers", action="store_true", help="SmartNoise SQL, Tumult and dp-accounting as well"
    )
    flags.add_argument("--only-peers", action="store_true", help="nothing but them")
    chosen = flags.parse_args()
    met = [] if chosen.only_peers else [*quick()]
    if not (chosen.quick or chosen.only_peers):
        met += whole()
    if chosen.peers or chosen.only_peers:
        met += peers()
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
