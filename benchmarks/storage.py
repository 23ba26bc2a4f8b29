"""What encryption and the layout of the shelves cost, each claim measured against its peer in the same rounds.

`python benchmarks/storage.py [--rows 5000000] [--rounds 7]` has made-up hospital stays brought in by the intake, as many
parts as it chooses, and prints one JSON line a claim: the median over the rounds of the ratio to the peer measured just
before or after (CPU time of the process for writing and decoding, wall time where threads are the point). The exit code
is 1 when a target is missed.
"""

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

# this folder has an `audit.py` too: ours comes first
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from enclave.demo.cast import HOSPITAL, policy
from enclave.demo.hospital_stays import hospital_stays, write_csv
from tests.unit.intake.intake_house import intake_house
from tests.unit.vault.helpers import PASSPHRASE, Receipt
from vault.keyring import create_keyring, open_keyring
from vault.keys import Rights
from vault.manifest import read_manifest
from vault.parquet import EncryptedFile, durable, layout, write_encrypted
from vault.shelf import Shelf, keep_pages, open_shelf
from vault.warm import WarmColumns

# The people of each half million stays are others.
PIECE_STAYS = 500_000
THREE = ["_unit", "cim10", "cost"]
ASK = Receipt("data.query", frozenset({f"dataset:{HOSPITAL}"}))
RIGHTS = {"identity": Rights.REIDENT, "research": Rights.ENGINE, "text": Rights.ENGINE}
SAME = "the same parts in the same layout, written by pyarrow without encryption"
DEFAULTS = "the same parts as pq.write_table writes them when told nothing"
PARTNER = "polars scan of the partner's table as plain zstd Parquet (identifiers, strings, note)"
BEST = "polars scan of the research shelf's rows as plain zstd Parquet, Enums in place of strings"
TEXT = "polars scan of the same rows as plain zstd Parquet"


@dataclass(frozen=True)
class Claim:
    claim: str
    value: float
    target: float
    against: str


class Bench:
    """What both sides read and write, and the measurements over it."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        stays = _stays(rows)
        self._bring_in(stays)
        self.files = self.shelf("research").files
        self.parts = [file.read(self.shelf("research").schema, None) for file in self.files]
        for name in ("encrypted", "plain", "defaults"):
            (folder / name).mkdir()
        self.write_encrypted()
        self.write_plain()
        self.write_defaults()
        # 1 is the level the facts of the field are told for; row groups as polars makes them
        zstd = {"compression": "zstd", "compression_level": 1}
        stays.write_parquet(folder / "partner.parquet", **zstd)
        self.shelf("research").read().write_parquet(folder / "best.parquet", **zstd)
        self.words().write_parquet(folder / "words.parquet", **zstd)
        self.warm = WarmColumns(3600, 64 << 30)

    def _bring_in(self, stays: pl.DataFrame) -> None:
        state = self.folder / "state"
        state.mkdir()
        create_keyring(state / "keyring.json", PASSPHRASE)
        house = intake_house(state, state / "keyring.json", buckets=8, unpacked_bytes_max=10**11)
        house.declare(HOSPITAL, "hospital-patients", policy(HOSPITAL))
        write_csv(self.folder / "stays.csv", stays)
        report = house.bring(self.folder / "stays.csv", policy(HOSPITAL), delete_source=True)
        house.recorder.close()
        self.keys = {
            rights: open_keyring(state / "keyring.json", PASSPHRASE, rights)
            for rights in set(RIGHTS.values())
        }
        self.root = house.tools.root
        self.manifest = read_manifest(
            self.root,
            HOSPITAL,
            1,
            public_key=self.keys[Rights.ENGINE].public_key("manifest"),
            expected_sha256=report.manifest_sha256,
        )

    def shelf(self, name: str, warm: WarmColumns | None = None) -> Shelf:
        return open_shelf(self.root, self.manifest, name, self.keys[RIGHTS[name]], ASK, warm)

    def words(self) -> pl.DataFrame:
        """Give all that is written in words: names and identifiers, and the notes."""
        return pl.concat(
            [self.shelf("identity").read(), self.shelf("text").read().drop("_unit")], how="horizontal"
        )

    def plain_words(self) -> pl.DataFrame:
        return pl.scan_parquet(self.folder / "words.parquet").collect()

    def write_encrypted(self) -> None:
        for path, file, part in zip(self._paths("encrypted"), self.files, self.parts, strict=True):
            path.unlink(missing_ok=True)
            write_encrypted(path, part, file.place, file.data_key)

    def write_plain(self) -> None:
        for path, part in zip(self._paths("plain"), self.parts, strict=True):
            path.unlink(missing_ok=True)
            pq.write_table(part, path, **layout(part))
            durable(path, part.num_rows)

    def write_defaults(self) -> None:
        for path, part in zip(self._paths("defaults"), self.parts, strict=True):
            path.unlink(missing_ok=True)
            pq.write_table(_nullable(part), path)

    def sizes(self, name: str) -> int:
        return sum(path.stat().st_size for path in self._paths(name))

    def _paths(self, name: str) -> list[Path]:
        return [self.folder / name / f"{number}.parquet" for number in range(len(self.parts))]

    @cached_property
    def encrypted(self) -> list[EncryptedFile]:
        return [
            EncryptedFile(path, file.place, file.rows, file.data_key)
            for path, file in zip(self._paths("encrypted"), self.files, strict=True)
        ]

    def read_encrypted(self, columns: list[str] | None) -> None:
        schema = self.encrypted[0].schema()
        for file in self.encrypted:
            file.read(schema, columns)

    def read_group(self) -> None:
        self.encrypted[0].read(self.parts[0].schema, THREE)

    def read_plain(self, columns: list[str] | None, name: str = "plain") -> None:
        for path in self._paths(name):
            pq.ParquetFile(path).read(columns=columns, use_threads=False)

    def read_plain_group(self) -> None:
        pq.ParquetFile(self._paths("plain")[0]).read_row_group(0, THREE, use_threads=False)

    def best_to_polars(self, columns: list[str] | None) -> pl.DataFrame:
        scan = pl.scan_parquet(self.folder / "best.parquet")
        return (scan if columns is None else scan.select(columns)).collect()

    def partner_to_polars(self, columns: list[str] | None) -> pl.DataFrame:
        scan = pl.scan_parquet(self.folder / "partner.parquet")
        named = None if columns is None else ["nir" if one == "_unit" else one for one in columns]
        return (scan if named is None else scan.select(named)).collect()

    def warm_question(self) -> pl.DataFrame:
        return question(self.shelf("research", self.warm).parts())

    @cached_property
    def in_memory(self) -> list[pl.DataFrame]:
        return [part.collect() for part in self.shelf("research").parts()]

    def memory_question(self) -> pl.DataFrame:
        return question([part.lazy() for part in self.in_memory])


def _stays(rows: int) -> pl.DataFrame:
    pieces = [
        hospital_stays(count // 3, count, seed)
        for seed, count in enumerate([PIECE_STAYS] * (rows // PIECE_STAYS) + [rows % PIECE_STAYS])
        if count
    ]
    return pl.concat(pieces)


def _nullable(table: pa.Table) -> pa.Table:
    """Give a table as pyarrow makes them: every column may be empty, and nothing is said beside its name and type."""
    return table.cast(pa.schema([(field.name, field.type) for field in table.schema]))


def question(parts: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Ask what a question asks of each part: rows a unit bounded, then sums for declared groups."""
    cells = [
        part.filter(pl.col("length_of_stay") < 30)
        .group_by("_unit", "cim10")
        .agg(pl.len().clip(upper_bound=5).alias("n"), pl.col("cost").clip(0, 10_000).sum().clip(0, 50_000))
        .group_by("cim10")
        .agg(pl.col("n").sum(), pl.col("cost").sum())
        for part in parts
    ]
    return pl.concat(pl.collect_all(cells)).group_by("cim10").agg(pl.all().sum())


def ratio(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, clock: Callable[[], float]
) -> float:
    """Give the median ratio over interleaved rounds; who goes first alternates."""
    ratios = []
    for number in range(rounds):
        first, second = (ours, peer) if number % 2 else (peer, ours)
        taken = {act: _seconds(act, clock) for act in (first, second)}
        ratios.append(taken[ours] / taken[peer])
    return statistics.median(ratios)


def _seconds(act: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    act()
    return clock() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    keep_pages()  # as the engine does; both sides read with it
    folder = Path(tempfile.mkdtemp(prefix="storage-"))
    try:
        bench = Bench(folder, chosen.rows)
        print(f"{len(bench.parts)} parts", file=sys.stderr)
        met = [
            told(claim, chosen.rounds)
            for measured in (writing, reading, to_polars, asking)
            for claim in measured(bench, chosen.rounds)
        ]
        return 0 if all(met) else 1
    finally:
        shutil.rmtree(folder)


def writing(bench: Bench, rounds: int) -> list[Claim]:
    """Measure what encryption adds to writing a research shelf."""
    cpu = time.process_time
    write = ratio(bench.write_encrypted, bench.write_plain, rounds, cpu)
    defaults = ratio(bench.write_encrypted, bench.write_defaults, rounds, cpu)
    size = bench.sizes("encrypted") / bench.sizes("plain")
    return [
        Claim("write", write, 1.10, f"{SAME}, with the same fsync and hash (CPU)"),
        Claim("write against pyarrow's defaults", defaults, 1.10, f"{DEFAULTS}, no fsync, no hash (CPU)"),
        Claim("size", size, 1.005, SAME),
    ]


def reading(bench: Bench, rounds: int) -> list[Claim]:
    """Measure what encryption adds to reading a research shelf, and the whole path against a plain one."""
    cpu = time.process_time
    claims = []
    for name, columns in (("whole", None), ("3 columns", THREE)):
        ours = _calling(bench.read_encrypted, columns)
        claims += [
            Claim(
                f"read {name}", ratio(ours, peer, rounds * 2, cpu), 1.10, f"{against}, read by pyarrow (CPU)"
            )
            for peer, against in (
                (_calling(bench.read_plain, columns), SAME),
                (_calling(bench.read_plain, columns, "defaults"), DEFAULTS),
            )
        ]
    group = ratio(bench.read_group, bench.read_plain_group, rounds * 20, cpu)
    return [*claims, Claim("read one row group", group, 1.10, f"{SAME}, read by pyarrow (CPU)")]


def to_polars(bench: Bench, rounds: int) -> list[Claim]:
    """Measure a cold shelf against what a researcher would read instead."""
    wall = time.perf_counter
    claims = []
    for name, columns, target in (("whole", None, 1.2), ("3 columns", THREE, 2.0)):
        ours = _calling(lambda wanted: bench.shelf("research").read(wanted), columns)
        claims += [
            Claim(
                f"cold shelf to polars, {name}", ratio(ours, peer, rounds, wall), target, f"{against} (wall)"
            )
            for peer, against in (
                (_calling(bench.best_to_polars, columns), BEST),
                (_calling(bench.partner_to_polars, columns), PARTNER),
            )
        ]
    words = ratio(bench.words, bench.plain_words, rounds, wall)
    return [
        *claims,
        Claim("cold shelves of strings and notes to polars, whole", words, 2.0, f"{TEXT} (wall)"),
    ]


def asking(bench: Bench, rounds: int) -> list[Claim]:
    """Measure a second question."""
    bench.warm_question()
    bench.memory_question()
    warm = ratio(bench.warm_question, bench.memory_question, rounds, time.perf_counter)
    return [Claim("warm question", warm, 1.1, "the same question of polars frames in memory (wall)")]


def _calling(act: Callable[..., object], *given: object) -> Callable[[], object]:
    return lambda: act(*given)


def told(claim: Claim, rounds: int) -> bool:
    ok = claim.value <= claim.target
    line = {**vars(claim), "value": round(claim.value, 4), "ok": ok, "rounds": rounds}
    print(
        json.dumps({name: line[name] for name in ("claim", "value", "target", "ok", "rounds", "against")}),
        flush=True,
    )
    return ok


if __name__ == "__main__":
    sys.exit(main())
