"""SmartNoise SQL in an environment of its own: count and sum by department of a CSV file, as its users write it.

python smartnoise_peer.py FILE ROUNDS, by the peer's own interpreter; prints one JSON line.
"""

import json
import sys
import time

import pandas as pd
from snsql import Privacy, from_df

KEPT, OLDEST, EPSILON, DELTA = 20, 120, 1.0, 1e-6
SQL = "SELECT dept, COUNT(*) AS n, SUM(age) AS s FROM hospital.stays GROUP BY dept"
DECLARED = {
    "": {
        "hospital": {
            "stays": {
                "max_ids": KEPT,
                "row_privacy": False,
                "censor_dims": False,
                "unit": {"type": "int", "private_id": True},
                "dept": {"type": "string"},
                "age": {"type": "int", "lower": 0, "upper": OLDEST},
            }
        }
    }
}


def main() -> None:
    rows = pd.read_csv(sys.argv[1])
    reader = from_df(rows, privacy=Privacy(epsilon=EPSILON, delta=DELTA), metadata=DECLARED)
    seconds = []
    for _ in range(int(sys.argv[2]) + 1):
        start = time.perf_counter()
        found = reader.execute(SQL)
        seconds.append(time.perf_counter() - start)
    told = {row[0]: {"n": row[1], "s": row[2]} for row in found[1:]}
    print(json.dumps({"seconds": seconds[1:], "told": told, "privacy": f"epsilon {EPSILON:g} a column"}))


if __name__ == "__main__":
    main()
