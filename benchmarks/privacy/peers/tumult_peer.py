"""Tumult Analytics in an environment of its own: count and sum by department of a CSV file, as its users write it.

python tumult_peer.py FILE ROUNDS, by the peer's own interpreter, with a Java run time; prints one JSON line.
"""

import json
import os
import sys
import time

from pyspark.sql import SparkSession
from tmlt.analytics import AddRowsWithID, KeySet, MaxRowsPerID, QueryBuilder, RhoZCDPBudget, Session

KEPT, OLDEST, RHO = 20, 120, 0.1


def main() -> None:
    os.environ["PYSPARK_PYTHON"] = sys.executable  # its workers need the same environment
    spark = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", 4).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    rows = spark.read.csv(sys.argv[1], header=True, inferSchema=True).cache()
    rows.count()
    keys = KeySet.from_dict({"dept": [f"d{place:02}" for place in range(20)]})
    rounds = int(sys.argv[2])
    session = Session.from_dataframe(
        RhoZCDPBudget(RHO * (rounds + 1)), "stays", rows, protected_change=AddRowsWithID(id_column="unit")
    )
    bounded = QueryBuilder("stays").enforce(MaxRowsPerID(KEPT)).groupby(keys)
    asked = {"n": bounded.count(name="n"), "s": bounded.sum("age", 0, OLDEST, name="s")}
    seconds, told = [], {}
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for name, query in asked.items():
            for row in session.evaluate(query, RhoZCDPBudget(RHO / 2)).collect():
                told.setdefault(row["dept"], {})[name] = row[name]
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds[1:], "told": told, "privacy": f"rho {RHO:g} in all"}))


if __name__ == "__main__":
    main()
