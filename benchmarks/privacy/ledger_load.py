"""What the ledger costs while eight processes write at once, beside the least that a durable ledger could do."""

import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

from anonymisation.ledger import Charge, Ledger
from benchmarks.privacy.claims import claim, timed
from benchmarks.privacy.made_up import Proof

WRITERS, PAIRS, ROUNDS = 8, 60, 5
FORK = multiprocessing.get_context("fork")
CAP = 10**9


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
    ledger.set_cap("population", "patients", CAP, Proof("dp.caps", frozenset({"population:patients"}), "c"))
    project = frozenset({"population:patients", "project:asthma"})
    ledger.set_cap("project", "patients/asthma", CAP, Proof("dp.caps", project, "d"))
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


def claims() -> Iterator[bool]:
    """Claims: milliseconds of a pair, and its ratio to two plain durable inserts."""
    pairs = [(at_once(with_caps, write), at_once(with_a_table, write_plainly)) for _ in range(ROUNDS)]
    yield claim("ledger: ms a reserve and release, 8 writers", [own for own, _ in pairs], 5, "limit")
    against = "two durable inserts through sqlite3, 8 writers"
    yield claim(
        "ledger: reserve and release, 8 writers", [own / plainly for own, plainly in pairs], None, against
    )
