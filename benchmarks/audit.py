"""The claims of the trail: what an act waits for, what integrity costs over a plain INSERT, what a million entries cost.

One JSON line a claim. Ratios come from interleaved rounds in one run (median), so that a busy machine slows both
sides alike; waiting times are those of the machine as it was, and `load` says how busy that is. Run all of it with
`python benchmarks/audit.py`, or parts by name: `acts`, `clients`, `append`, `million`. Needs `enclave` for the acts
over the socket.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import tiles
from audit.checkpoint import Checkpoint, Signer
from audit.event import Event, canonical, new_id, stamp, utc_now
from audit.export import export
from audit.log import DATABASE, Log
from audit.store import Row, Store, insert_rows
from audit.store_search import Search
from audit.tiles import TileReader
from audit.tree import Frontier, consistency_path, leaf_hash
from audit.verify import verify
from enclave.errors import ComponentDown
from enclave.recorder_client import RecorderClient
from enclave.recording import Actor, EventObject

ROOT = Path(__file__).resolve().parent.parent
ORIGIN = "bench.example/trail"
ROUNDS = 21
BATCH = 64
COMMITS = 20
USERS = (1, 2, 4, 8)
ACTS = 40
CLIENTS = 64
SLOW_SYNC = 0.002
MILLION = 1_000_000
CHUNK = 20_000
PROOFS = 101
PAGES = 15
START_SECONDS = 60
NO_HASH = b""
OVER_SOCKET = "intent and outcome over the socket"
WITHIN = "intent and outcome in the recorder's process"
NOTHING = "for comparison: two requests that record nothing"
ROWS = "for comparison: two commits of one plain row"
AGAINST = f"plain INSERT, same rows, indexes and way to write, {BATCH} a commit, synchronous=FULL"


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


def claim(
    name: str, value: float, target: float | None, rounds: int, against: str, *, least: bool = False
) -> None:
    ok = None if target is None else value >= target if least else value <= target
    told = {"claim": name, "value": round(value, 3), "target": target, "ok": ok, "rounds": rounds}
    print(
        orjson.dumps({**told, "against": against, "load": round(os.getloadavg()[0], 1)}).decode(), flush=True
    )


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


# One act


def acts(folder: Path, signer: Signer) -> None:
    """An act's own cost: its intent before, its outcome after, each waited for; users begin the next at once."""
    with served(folder / "served") as client:
        log, simple = Log(folder / "acts", signer), Store(folder / "rows.db")
        actor, about, places = (
            Actor("researcher-a", "person", "researcher"),
            [EventObject("dataset", "dataset-a")],
            count(),
        )

        def within(_: int) -> float:
            intent, outcome = pairs(2)
            return timed(lambda: (log.record(intent), log.record(outcome)))

        def over_socket(_: int) -> float:
            return timed(
                lambda: client.outcome(client.intent("data.query", actor=actor, objects=about), "success")
            )

        def nothing(_: int) -> float:
            return timed(lambda: (client.health(), client.health()))

        def rows(_: int) -> float:
            two = pairs(2)
            return timed(lambda: [plain(simple, next(places), [each]) for each in two])

        ways = {WITHIN: within, OVER_SOCKET: over_socket, NOTHING: nothing, ROWS: rows}
        taken: dict[tuple[str, int], list[float]] = {}
        for number in range(ROUNDS + 1):
            for users in USERS:
                for name, way in ways.items():
                    if name == ROWS and users > 1:
                        continue
                    with ThreadPoolExecutor(users) as pool:
                        found = [1000 * each for each in pool.map(way, range(ACTS))]
                    taken.setdefault((name, users), []).extend(found if number else [])
                    log.prove(
                        log.head.size - 1
                    ) if log.head.size else None  # files of one way, not in the time of the next
                    client.proof(client.health()["size"] - 1)
        log.close()
        simple.close()
    for (name, users), each in taken.items():
        target = 20 if name in {OVER_SOCKET, WITHIN} else None
        claim(f"{name}, {users} users at once, p99 ms", p99(each), target, ROUNDS, "the limit")
        claim(
            f"{name}, {users} users at once, median ms",
            statistics.median(each),
            None,
            ROUNDS,
            "no target set",
        )


@contextmanager
def served(folder: Path) -> Iterator[RecorderClient]:
    """A recorder in a process of its own, as the house runs it."""
    folder.mkdir()
    (folder / "pass").write_text("a long passphrase")
    named = {"dir": "trail", "socket": "r.sock", "key-file": "key", "passphrase-file": "pass"}
    words = [f"--{name}={folder / value}" for name, value in named.items()]
    command = [sys.executable, "-m", "audit", "serve", f"--origin={ORIGIN}", *words]
    with subprocess.Popen(command, cwd=ROOT) as process:
        client = RecorderClient(folder / "r.sock", "engine", 10.0)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                client.health()
                break
            except ComponentDown:
                time.sleep(0.05)
        yield client
        process.terminate()


# What integrity costs


def plain(store: Store, start: int, events: Sequence[Event]) -> None:
    """The same rows, columns, indexes and durability, with neither hash, tree nor signature."""
    rows = []
    for seq, each in enumerate(events, start):
        ts = utc_now()
        leaf = stamp(each, seq=seq, ts=ts, log=ORIGIN)
        rows.append(Row(seq, each.id, leaf, NO_HASH, ts, each.as_mapping(), tuple(each.objects())))
    with store.writing() as db:
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
        self.store.append(rows, grown.size, note, self.frontier.size)
        self.frontier = grown


def append(folder: Path, signer: Signer) -> None:
    """Plain rows against the signed tree, commit by commit, so that a slow disk hits both sides."""
    simple, store = Store(folder / "plain.db"), Store(folder / "signed.db")
    signed, ratios, place = Signed(store, signer), [], 0
    for number in range(ROUNDS + 1):
        taken = [0.0, 0.0]
        for commit in range(COMMITS):
            one, two = pairs(BATCH), pairs(BATCH)
            sides = [partial(plain, simple, place, one), partial(signed.append, two)]
            for side in (0, 1) if commit % 2 else (1, 0):  # whoever comes second finds a warmer machine
                taken[side] += timed(sides[side])
            place += BATCH
        ratios += [taken[1] / taken[0]] if number else []  # the first round warms up
    claim("signed Merkle append, time ratio", statistics.median(ratios), 1.25, ROUNDS, AGAINST)
    whole_log(folder, signer, simple, place)
    simple.close()
    store.close()


def whole_log(folder: Path, signer: Signer, simple: Store, place: int) -> None:
    """Round by round, each until its files are shown: what follows a commit is counted too."""
    log, ratios = Log(folder / "trail", signer), []
    for number in range(ROUNDS + 1):
        ones, twos = ([pairs(BATCH) for _ in range(COMMITS)] for _ in range(2))
        taken = timed(
            lambda ones=ones, at=place: [plain(simple, at + BATCH * n, one) for n, one in enumerate(ones)]
        )
        place += BATCH * COMMITS

        def work(twos: list[list[Event]] = twos) -> None:
            for two in twos:
                for each in [log.submit(one) for one in two]:
                    each.result()
            log.prove(log.head.size - 1)

        ratios += [timed(work) / taken] if number else []
    what = f"{AGAINST}; with hand-over, tiles, checkpoints, a proof and the index of words"
    claim("the whole log at work, time ratio", statistics.median(ratios), None, ROUNDS, what)
    log.close()


def clients(folder: Path, signer: Signer) -> None:
    """64 clients that wait, served together, against a transaction for each entry; every fsync takes 2 ms more."""
    simple = Store(folder / "slow.db")
    alone, log = Signed(simple, signer), Log(folder / "slow", signer)
    for store in (simple, log.store):
        store.append = partial(slowly, store.append)
    sync = os.fsync
    tiles.os.fsync = lambda handle: (time.sleep(SLOW_SYNC), sync(handle))
    ratios = []
    try:
        for number in range(ROUNDS + 1):
            events = pairs(CLIENTS * 4)
            one = timed(lambda events=events: [alone.append([each]) for each in events[:CLIENTS]])
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(time.sleep, [0.001] * CLIENTS))  # starts the threads
                two = timed(lambda events=events, pool=pool: list(pool.map(log.record, events)))
            ratios += [(one / CLIENTS) / (two / len(events))] if number else []
    finally:
        tiles.os.fsync = sync
    against = (
        f"one transaction per entry; {1000 * SLOW_SYNC:g} ms more for each fsync (a sleep), files included"
    )
    name = f"{CLIENTS} waiting clients, times the entries a second"
    claim(name, statistics.median(ratios), 10, ROUNDS, against, least=True)
    simple.close()
    log.close()


def slowly(write: Callable[..., None], *arguments: object) -> None:
    write(*arguments)
    time.sleep(SLOW_SYNC)


# A million entries

KINDS = (
    ("data.query",) * 30
    + ("data.denied", "session.bytes", "key.unwrap", "auth.login") * 17
    + ("release.view",) * 2
)


def filled(path: Path, signer: Signer) -> None:
    """A database of a million entries: acts of 1,000 people on 60 datasets in 40 projects, six seconds apart."""
    store, frontier, chance = Store(path), Frontier(), Random(5)
    start = time.time() - 3 * MILLION
    for first in range(0, MILLION, CHUNK):
        rows = [row for seq in range(first, first + CHUNK, 2) for row in made(seq, chance, start + 3 * seq)]
        frontier = frontier.extended(row.leaf_sha256 for row in rows)
        store.append(rows, frontier.size, signer.sign(Checkpoint(ORIGIN, frontier.size, frontier.root())))
    store.close()


def made(seq: int, chance: Random, when: float) -> Iterator[Row]:
    """An act's intent and its outcome."""
    ts = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(when))}.{seq % 1_000_000:06d}Z"
    about, kind = f"dataset-{chance.randrange(60)}", chance.choice(KINDS)
    told = {
        "v": 1, "type": kind, "corr": new_id(), "occurred": ts,
        "actor": {"id": f"researcher-{chance.randrange(1000)}", "kind": "person", "role": "researcher", "auth": "password"},
        "source": {"service": "engine", "version": "0.1.0"}, "project": f"project-{chance.randrange(40)}",
        "object": [{"kind": "dataset", "id": about, "sha256": "a1" * 32}],
        "dp": {"mechanism": "laplace", "rho_micro": 1200, "unit": "person"}, "counts": {"columns": 3},
    }  # fmt: skip
    if kind == "release.view":
        told["release"] = {"request": new_id()}
    result = "denied" if chance.random() < 0.1 else "success"
    for place, phase in enumerate(({"phase": "intent"}, {"phase": "outcome", "outcome": result}), seq):
        event = {**told, **phase, "id": new_id()}
        leaf = canonical({**event, "seq": place, "ts": ts, "log": ORIGIN})
        yield Row(place, event["id"], leaf, leaf_hash(leaf), ts, event, (f"dataset:{about}",))


def million(folder: Path, signer: Signer) -> None:
    trail = folder / "million"
    trail.mkdir()
    filled(trail / DATABASE, signer)
    opening = time.perf_counter()
    log = Log(trail, signer)
    claim(
        "opening a database of a million entries without files, s",
        time.perf_counter() - opening,
        None,
        1,
        "none set",
    )
    while log._index.upto < MILLION:  # noqa: SLF001  (the searches below are those of an index that has caught up)
        time.sleep(0.1)
    claim("until searches have their index, s", time.perf_counter() - opening, None, 1, "no target set")
    searches(log)
    proofs(log, trail)
    log.close()
    seconds = verify(trail).cpu_seconds
    claim("full verification with the database, CPU seconds", seconds, None, 1, "no target set")
    export(trail, folder / "export")
    rounds = [verify(folder / "export").cpu_seconds for _ in range(3)]
    claim("full verification from tiles, CPU seconds", statistics.median(rounds), 5, 3, "the limit")


def proofs(log: Log, trail: Path) -> None:
    chance, size = Random(7), log.head.size
    indexes = [chance.randrange(1, size) for _ in range(PROOFS)]
    included = [1000 * timed(partial(log.prove, index)) for index in indexes]
    claim("inclusion proof at a million, ms", statistics.median(included), 2, PROOFS, "the limit")
    reader = lambda: TileReader(trail, size)  # noqa: E731
    consistent = [1000 * timed(lambda old=old: consistency_path(old, size, reader().node)) for old in indexes]
    claim("consistency proof at a million, ms", statistics.median(consistent), 2, PROOFS, "the limit")


def searches(log: Log) -> None:
    store, size = log.store, log.head.size
    one, low, high = (
        orjson.loads(next(store.leaves(at, at + 1))[0]) for at in (size // 2, size // 4, size // 4 * 3)
    )
    period = {"after": low["ts"], "before": high["ts"]}
    person, kind = {"actor": one["actor"]["id"]}, {"type": one["type"]}
    pages = {
        "everything": Search({}),
        "of one person": Search(person),
        "of one type": Search(kind),
        "of one act": Search({"corr": one["corr"]}),
        "of one dataset": Search({}, "dataset:dataset-7"),
        "deep in one dataset": Search({}, "dataset:dataset-7", below=1000),
        "of half the time": Search({}, **period),
        "of half the time, deep": Search({}, **period, below=size // 4 + 1000),
        "of one person in half the time": Search(person, **period),
        "of one dataset in half the time": Search({}, "dataset:dataset-7", **period),
        "of one type, phase and outcome": Search(kind | {"phase": "outcome", "outcome": "denied"}),
        "of one type and outcome in half the time": Search(kind | {"outcome": "success"}, **period),
        "of one person, project and dataset": Search(
            person | {"project": one["project"]}, "dataset:dataset-7"
        ),
        "of intents that succeeded (there are none)": Search({"phase": "intent", "outcome": "success"}),
        "of one person with another's act": Search({"actor": "researcher-1", "corr": one["corr"]}),
    }
    texts = {
        "a rare word": Search({}, text=one["corr"]),
        "a person and a dataset": Search({}, text="researcher-7 dataset-7"),
        "words that are everywhere": Search({}, text="researcher dataset"),
        "words that are everywhere but never together": Search({}, text="key.unwrap data.query engine"),
        "a word in half the time": Search({}, text="denied", **period),
        "a word and a type": Search(kind, text="denied project-3"),
        "a word nobody said": Search({}, text="nothing"),
    }
    for kinds, limit, what in ((pages, 50, "a page"), (texts, 200, "a text search:")):
        taken: dict[str, list[float]] = {}
        for _ in range(PAGES):
            for name, wanted in kinds.items():
                taken.setdefault(name, []).append(1000 * timed(partial(log.search, wanted)))
        for name, each in taken.items():
            claim(f"{what} {name}, at a million, ms", statistics.median(each), limit, PAGES, "the limit")


PARTS = {each.__name__: each for each in (acts, clients, append, million)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them where none is named")
    signer = Signer(ORIGIN, Ed25519PrivateKey.generate())
    for name in parser.parse_args().parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="audit-") as folder:
            PARTS[name](Path(folder), signer)


if __name__ == "__main__":
    main()
