"""The claims of the trail: what integrity costs over a plain INSERT, and what a full verification costs.

One JSON line a claim. Time ratios come from interleaved rounds in one run (median), so that a busy machine
slows both sides alike. Run it with `python benchmarks/audit.py`; `--million` measures proofs, pages and verification
at a million entries (some minutes).
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import randrange

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Checkpoint, Signer
from audit.event import Event, new_id, stamp, utc_now
from audit.export import export
from audit.log import Log
from audit.store import Row, Search, Store, insert_rows
from audit.tiles import TileReader
from audit.tree import Frontier, consistency_path, leaf_hash
from audit.verify import verify

ORIGIN = "bench.example/trail"
BATCH = 64
COMMITS = 40
ROUNDS = 21
ENTRIES = 100_000
NO_HASH = b""
ACTS = 400
CLIENTS = 64
SLOW_SYNC = 0.002
MILLION = 1_000_000
PROOFS = 101


def event(corr: str, phase: str) -> Event:
    mapping = {
        "v": 1,
        "id": new_id(),
        "type": "data.query",
        "phase": phase,
        "corr": corr,
        "occurred": utc_now(),
        "actor": {"id": "researcher-a", "kind": "person", "role": "researcher", "auth": "password"},
        "source": {"service": "engine", "version": "0.1.0"},
        "project": "project-a",
        "object": [{"kind": "dataset", "id": "dataset-a", "sha256": "a1" * 32}],
        "dp": {"mechanism": "laplace", "rho_micro": 1200, "unit": "person"},
        "counts": {"columns": 3},
    }
    if phase == "outcome":
        mapping["outcome"] = "success"
    return Event.model_validate(mapping)


def pairs(count: int) -> list[Event]:
    corrs = [new_id() for _ in range(count // 2)]
    return [event(corr, phase) for corr in corrs for phase in ("intent", "outcome")]


def claim(name: str, value: float, target: float | None, rounds: int, against: str) -> None:
    ok = None if target is None else value <= target
    told = {"claim": name, "value": round(value, 3), "target": target, "ok": ok}
    print(json.dumps({**told, "rounds": rounds, "against": against}), flush=True)


def plain(store: Store, start: int, events: Sequence[Event]) -> None:
    """The same rows, columns, indexes and durability, with neither hash, tree nor signature."""
    rows = []
    for seq, each in enumerate(events, start):
        ts = utc_now()
        leaf = stamp(each, seq=seq, ts=ts, log=ORIGIN)
        rows.append(Row(seq, each.id, leaf, NO_HASH, ts, each.as_mapping(), tuple(each.objects())))
    with store._engine.begin() as db:  # noqa: SLF001  (the same connection settings, so the same durability)
        insert_rows(db, rows)


class Signed:
    """What the sequencer makes durable before it answers (the tiles follow after the answer)."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self.store, self.signer, self.frontier = store, signer, Frontier()

    def append(self, events: Sequence[Event]) -> None:
        rows = []
        self.store.find({each.id for each in events})
        for seq, each in enumerate(events, self.frontier.size):
            ts = utc_now()
            leaf = stamp(each, seq=seq, ts=ts, log=ORIGIN)
            hashed = leaf_hash(leaf)
            rows.append(Row(seq, each.id, leaf, hashed, ts, each.as_mapping(), tuple(each.objects())))
        grown = self.frontier.extended(row.leaf_sha256 for row in rows)
        note = self.signer.sign(Checkpoint(ORIGIN, grown.size, grown.root()))
        self.store.append(rows, grown.size, note)
        self.frontier = grown


def timed(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def append_ratio(folder: Path, signer: Signer) -> None:
    simple, store = Store(folder / "plain.db"), Store(folder / "signed.db")
    signed = Signed(store, signer)
    ratios, place = [], 0
    for number in range(ROUNDS + 1):
        batches = [(pairs(BATCH), pairs(BATCH)) for _ in range(COMMITS)]
        taken = [0.0, 0.0]
        for one, two in batches:  # commit by commit, so that a slow disk hits both sides
            taken[0] += timed(lambda one=one, place=place: plain(simple, place, one))
            taken[1] += timed(lambda two=two: signed.append(two))
            place += BATCH
        if number:  # the first round warms both up
            ratios.append(taken[1] / taken[0])
    against = f"plain INSERT, same rows and indexes, {BATCH} a commit, synchronous=FULL"
    claim("signed Merkle append, time ratio", statistics.median(ratios), 1.25, ROUNDS, against)
    simple.close()
    store.close()


def with_tiles_ratio(folder: Path, signer: Signer) -> None:
    """The whole recorder path, tiles written before the next commit, one client that keeps 64 waiting."""
    simple, log = Store(folder / "plain2.db"), Log(folder / "trail", signer)
    ratios, place = [], 0
    for number in range(ROUNDS + 1):
        taken = [0.0, 0.0]
        for _ in range(COMMITS // 4):
            one, two = pairs(BATCH), pairs(BATCH)
            taken[0] += timed(lambda one=one, place=place: plain(simple, place, one))
            taken[1] += timed(lambda two=two: [each.result() for each in [log.submit(e) for e in two]])
            place += BATCH
        if number:
            ratios.append(taken[1] / taken[0])
    against = "plain INSERT as above; sequencer thread, proofs and tile files included; no target set"
    claim("sequencer with tiles, time ratio", statistics.median(ratios), None, ROUNDS, against)
    simple.close()
    log.close()


def verification(folder: Path, signer: Signer) -> None:
    log = Log(folder / "big", signer)
    while log.head.size < ENTRIES:
        waiting = [log.submit(each) for each in pairs(min(2048, ENTRIES - log.head.size))]
        for each in waiting:
            each.result()
    log.close()
    export(folder / "big", folder / "export")
    rounds = 5
    for name, where, target in (
        ("full verification of 100,000 entries from tiles, CPU seconds", "export", 0.5),
        ("the same, compared with log.db, CPU seconds", "big", None),
    ):
        spent = []
        for _ in range(rounds):
            report = verify(folder / where)
            assert report.exit_code == 0, report
            spent.append(report.cpu_seconds)
        claim(name, statistics.median(spent), target, rounds, "the limit")


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def one_act(folder: Path, signer: Signer) -> None:
    """An act's own cost: its intent before, its outcome after, each waited for, by 1 to 8 users at once."""
    log = Log(folder / "acts", signer)
    for users in (1, 8):

        def act(_: int) -> float:
            intent, outcome = pairs(2)
            return timed(lambda: (log.record(intent), log.record(outcome)))

        with ThreadPoolExecutor(users) as pool:
            taken = [1000 * each for each in pool.map(act, range(ACTS))]
        claim(f"intent and outcome, {users} users, p99 ms added", p99(taken), 20, len(taken), "the limit")
    log.close()


class SlowSync(Store):
    """The same database on a disk that takes a while for each fsync: the sleep stands for it, once a commit."""

    def append(self, rows: Sequence[Row], size: int, note: str, shown: int = 0) -> None:
        super().append(rows, size, note, shown)
        time.sleep(SLOW_SYNC)


def many_clients(folder: Path, signer: Signer) -> None:
    """64 clients that wait, served together, against a transaction for each entry; both on the slow disk."""
    simple = SlowSync(folder / "slow.db")
    alone = Signed(simple, signer)
    log = Log(folder / "slow", signer)
    log.store.append = partial(_slowly, log.store.append)
    ratios = []
    for number in range(ROUNDS + 1):
        events = pairs(CLIENTS * 2)
        one = timed(lambda events=events: [alone.append([each]) for each in events[:CLIENTS]])
        with ThreadPoolExecutor(CLIENTS) as pool:
            two = timed(lambda events=events, pool=pool: list(pool.map(log.record, events)))
        if number:
            ratios.append((one / CLIENTS) / (two / len(events)))
    against = f"one transaction per entry, both with {1000 * SLOW_SYNC:g} ms more for each fsync (a sleep after the commit)"
    told = {
        "claim": f"{CLIENTS} waiting clients, times the entries a second",
        "value": statistics.median(ratios),
    }
    ok = statistics.median(ratios) >= 10
    print(json.dumps({**told, "target": 10, "ok": ok, "rounds": ROUNDS, "against": against}), flush=True)
    simple.close()
    log.close()


def _slowly(append: Callable[..., None], *arguments: object) -> None:
    append(*arguments)
    time.sleep(SLOW_SYNC)


def million(folder: Path, signer: Signer) -> None:
    log = Log(folder / "million", signer)
    while log.head.size < MILLION:
        for each in [log.submit(one) for one in pairs(4096)]:
            each.result()
    size, store = log.head.size, log.store
    proofs = [1000 * timed(lambda: log.prove(randrange(size))) for _ in range(PROOFS)]
    claim("inclusion proof at a million, ms", statistics.median(proofs), 2, PROOFS, "the limit")
    olds = [randrange(1, size) for _ in range(PROOFS)]
    reader = lambda: TileReader(folder / "million", size)  # noqa: E731
    consistent = [1000 * timed(lambda old=old: consistency_path(old, size, reader().node)) for old in olds]
    claim("consistency proof at a million, ms", statistics.median(consistent), 2, PROOFS, "the limit")
    _pages(store, size)
    log.close()
    export(folder / "million", folder / "million-export")
    seconds = verify(folder / "million-export").cpu_seconds
    claim("full verification of a million entries from tiles, CPU seconds", seconds, 5, 1, "the limit")


def _pages(store: Store, size: int) -> None:
    one = orjson.loads(next(store.leaves(size // 2, size // 2 + 1))[0])
    searches = {
        "everything": Search({}),
        "of one person": Search({"actor": "researcher-a"}),
        "of one type and project": Search({"type": "data.query", "project": "project-a"}),
        "of one act": Search({"corr": one["corr"]}),
        "of one dataset": Search({}, "dataset:dataset-a"),
        "deep in one dataset": Search({}, "dataset:dataset-a", below=1000),
        "within a day": Search({}, after="2000-01-01", before="2999-01-01"),
    }
    for name, wanted in searches.items():
        taken = [1000 * timed(lambda wanted=wanted: store.search(wanted)) for _ in range(5)]
        claim(f"a page of a search {name}, at a million, ms", statistics.median(taken), 50, 5, "the limit")


def main() -> None:
    signer = Signer(ORIGIN, Ed25519PrivateKey.generate())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "--million" in sys.argv:
            million(folder, signer)
            return
        one_act(folder, signer)
        many_clients(folder, signer)
        append_ratio(folder, signer)
        with_tiles_ratio(folder, signer)
        verification(folder, signer)


if __name__ == "__main__":
    main()
