"""dp-accounting in an environment of its own: epsilon of many Gaussian answers by its privacy loss distribution accountant.

python pld_peer.py ANSWERS SCALE DELTA, by the peer's own interpreter; prints one JSON line.
"""

import json
import sys

from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant


def main() -> None:
    answers, scale, delta = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(scale), answers))
    print(json.dumps({"epsilon": accountant.get_epsilon(delta)}))


if __name__ == "__main__":
    main()
