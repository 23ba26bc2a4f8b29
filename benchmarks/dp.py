"""Claims of the differential-privacy layer, each measured against a peer or a limit in the same run; one JSON line a claim."""

import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from anonymisation import answer, noise
from anonymisation.bounds import UNIT, Column, Table
from anonymisation.errors import AnonymisationError
from anonymisation.ledger import Charge, Ledger
from anonymisation.question import Question, check, parse

ROWS, PATIENTS, GROUPS, KEPT = 1_000_000, 100_000, 20, 20
ROUNDS = 15
WRITERS, PAIRS = 8, 60
FORK = multiprocessing.get_context("fork")

TABLE = Table(
    "stays",
    1,
    "patients",
    "nir",
    "nip",
    (
        Column("dept", "category", tuple(f"d{place:02}" for place in range(GROUPS))),
        Column("age", "integer", None, "0", "120"),
    ),
    KEPT,
    GROUPS,
)


@dataclass(frozen=True)
class Proof:
    act: str
    objects: frozenset[str]
    event_id: str
    index: int = 1
    leaf_sha256: bytes = bytes(32)


def claim(name: str, values: list[float], target: float, against: str) -> bool:
    value = median(values)
    line = {
        "claim": name,
        "value": round(value, 3),
        "target": target,
        "ok": value <= target,
        "rounds": len(values),
        "against": against,
    }
    print(json.dumps(line), flush=True)
    return value <= target


def table() -> pl.DataFrame:
    """One million stays of 100,000 patients, few with many stays, sorted by unit as intake stores them."""
    draw = np.random.default_rng(7)
    share = draw.gamma(1.0, size=PATIENTS)
    patient = np.sort(draw.choice(PATIENTS, ROWS, p=share / share.sum()).astype(np.uint64))
    dept = pl.Series(draw.integers(0, GROUPS, ROWS)).cast(pl.String).str.zfill(2)
    columns = {
        UNIT: patient * np.uint64(0x9E3779B97F4A7C15 >> 20),
        "dept": "d" + dept,
        "age": draw.integers(0, 121, ROWS),
    }
    return pl.DataFrame(columns).with_columns(pl.col("dept").cast(pl.Categorical))


def question() -> Question:
    asks = [
        {"name": "n", "stat": "count"},
        {"name": "s", "stat": "sum", "column": "age"},
        {"name": "m", "stat": "mean", "column": "age"},
    ]
    return parse({"v": 1, "dataset": "stays", "by": ["dept"], "ask": asks, "rho_micro": 100_000})


def by_window() -> pl.Expr:
    """Number a unit's rows as an analyst would."""
    return pl.int_range(pl.len()).over(UNIT)


def by_run() -> pl.Expr:
    """Number a unit's rows the fastest way polars has on rows sorted by unit."""
    place = pl.int_range(pl.len())
    return place - pl.when(pl.col(UNIT).ne_missing(pl.col(UNIT).shift())).then(place).forward_fill()


def plain(data: pl.DataFrame, number: pl.Expr) -> pl.DataFrame:
    """The same bounded aggregate in plain polars."""
    kept = number < KEPT
    held = pl.col("age").clip(0, 120)
    statistics = [pl.len().alias("n"), held.sum().alias("s"), held.mean().alias("m")]
    return data.lazy().filter(kept).group_by("dept").agg(statistics).collect()


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def ratios(data: pl.DataFrame, number: pl.Expr) -> list[float]:
    asked = question()

    def ours_to_plain() -> float:
        ours = timed(lambda: answer.compute(asked, TABLE, [data.lazy()], b"seed"))
        return ours / timed(lambda: plain(data, number))

    return [ours_to_plain() for _ in range(ROUNDS + 2)][2:]


def prices() -> Iterator[float]:
    asked = question()
    for _ in range(10 * ROUNDS):
        yield 1_000 * timed(lambda: answer.price(asked, TABLE))


def refusals() -> Iterator[float]:
    """Time hostile documents; each is refused."""
    nested: object = "age"
    for _ in range(6):
        nested = ["bins", nested, list(range(100))]
    hostile = [
        b"[" * 65_536,
        b'{"where":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        json.dumps({f"k{place}": place for place in range(6_000)}).encode(),
        json.dumps(
            {
                "v": 1,
                "dataset": "stays",
                "ask": [{"name": "n", "stat": "count"}],
                "rho_micro": 1,
                "where": ["==", nested, 1],
            }
        ).encode(),
        json.dumps(
            {
                "v": 1,
                "dataset": "stays",
                "ask": [{"name": "n", "stat": "count"}],
                "rho_micro": 1,
                "by": ["age", "dept"] * 900,
            }
        ).encode(),
    ]
    for raw in hostile * ROUNDS:
        yield 1_000 * timed(lambda raw=raw: refused(raw))  # type: ignore[misc]


def refused(raw: bytes) -> None:
    try:
        check(parse(raw), TABLE)
    except AnonymisationError:
        return
    raise AssertionError("a hostile document was accepted")


def write(path: Path, writer: int, ready: Barrier) -> None:
    ledger = Ledger.open(path)
    ready.wait()
    for turn in range(PAIRS):
        charge = Charge("patients", "asthma", "researcher-a", "ab", "stays", 1, 10, f"{writer}-{turn}")
        receipt = Proof("data.query", frozenset({"dataset:stays", "question:ab"}), charge.event_id)
        ledger.release(ledger.reserve(charge, receipt).id, bytes(2_000), receipt)


def write_plainly(path: Path, writer: int, ready: Barrier) -> None:
    """The least a durable ledger could do: two committed inserts through sqlite3 itself."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    ready.wait()
    for turn in range(2 * PAIRS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO charge VALUES (?, ?, ?)", (writer, turn, bytes(1_000)))
        connection.execute("COMMIT")


def with_caps(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.set_cap("population", "patients", 10**9, Proof("dp.caps", frozenset({"population:patients"}), "c"))
    project = frozenset({"population:patients", "project:asthma"})
    ledger.set_cap("project", "patients/asthma", 10**9, Proof("dp.caps", project, "d"))
    ledger.close()


def with_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE charge (writer, turn, answer)")
    connection.close()


def at_once(prepare: Callable[[Path], None], act: Callable[[Path, int, Barrier], None]) -> float:
    """Give milliseconds a pair of transactions while eight processes write at once."""
    with tempfile.TemporaryDirectory() as folder:
        path, ready = Path(folder) / "ledger.db", FORK.Barrier(WRITERS + 1)
        prepare(path)
        writers = [FORK.Process(target=act, args=(path, writer, ready)) for writer in range(WRITERS)]
        for writer in writers:
            writer.start()
        ready.wait()
        return 1_000 * timed(lambda: [writer.join() for writer in writers]) / (WRITERS * PAIRS)


def ledger_claims() -> list[bool]:
    ours, theirs = zip(
        *((at_once(with_caps, write), at_once(with_a_table, write_plainly)) for _ in range(5)), strict=True
    )
    against = [mine / plainly for mine, plainly in zip(ours, theirs, strict=True)]
    return [
        claim("ledger: ms a reserve and release, 8 writers", list(ours), 5, "limit"),
        claim(
            "ledger: reserve and release, 8 writers",
            against,
            5,
            "two durable inserts through sqlite3, 8 writers",
        ),
    ]


def main() -> int:
    met = ledger_claims()
    noise.warm()
    met.append(claim("price: ms a question", list(prices()), 10, "limit"))
    met.append(claim("hostile question refused: ms, slowest", [max(refusals())], 50, "limit"))
    data, asked = table(), "count, sum and mean by 20 groups of 1 M rows, warm"
    met.append(claim(asked, ratios(data, by_window()), 1.5, "plain polars, same bounded aggregate"))
    met.append(claim(asked, ratios(data, by_run()), 4, "plain polars, the same hand-tuned for sorted rows"))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
