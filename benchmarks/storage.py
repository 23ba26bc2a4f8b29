"""What encryption and the layout of the shelves cost, each claim measured against its peer in the same rounds.

`python benchmarks/storage.py [--rows 5000000] [--rounds 7] [--buckets 8]` prints one JSON line a claim: the median
over the rounds of the ratio to the peer measured just before or after (CPU time of the process for writing and
decoding, wall time where threads are the point). The exit code is 1 when a target is missed.
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
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from vault.bucketing import bucket_numbers, bucket_rows, stored_order
from vault.columns import domain_words, to_stored
from vault.keyring import LocalKeyring, create_keyring, open_keyring
from vault.keys import Rights
from vault.manifest import Manifest
from vault.parquet import EncryptedFile, Place, durable, layout, write_encrypted
from vault.shelf import open_shelf
from vault.version import write_version
from vault.warm import WarmColumns

PASSPHRASE = b"benchmark passphrase"
ORDER_KEY = bytes(32)
DATASET = "sejours"
COLUMNS = ["_unit", "icd", "cost"]
DOMAINS = {"sex": 2, "department": 101, "icd": 2000, "ccam": 800, "finess": 300}
WORDS = [
    "patient",
    "revu",
    "stable",
    "douleur",
    "traitement",
    "poursuivi",
    "sortie",
    "prévue",
    "bilan",
    "normal",
]


SAME = "the same parts written by pyarrow without encryption"
PARTNER = "polars scan of the partner's table as plain zstd Parquet (identifiers, strings, note)"
TEXT = "polars scan of the same rows as plain zstd Parquet"


@dataclass(frozen=True)
class Claim:
    claim: str
    value: float
    target: float
    against: str


@dataclass(frozen=True)
class Receipt:
    act: str
    objects: frozenset[str] = frozenset({f"dataset:{DATASET}"})
    index: int = 0
    event_id: str = "benchmark"
    leaf_sha256: bytes = b""


def research_table(rows: int) -> tuple[pa.Table, dict[str, list[str]]]:
    """Give a research shelf: unit number, codes with their domains, dates, numbers."""
    rng = np.random.default_rng(1)
    domains = {
        name: [f"{name[:1].upper()}{code:05d}" for code in range(size)] for name, size in DOMAINS.items()
    }
    units = rng.integers(0, 2**63, rows // 4, dtype=np.uint64)
    codes = {
        name: pa.DictionaryArray.from_arrays(
            pa.array(rng.integers(0, len(words), rows), pa.int32()), pa.array(words)
        )
        for name, words in domains.items()
    }
    days = {
        name: pa.array(rng.integers(18000, 20000, rows).astype("int32"), pa.date32())
        for name in ("start", "end")
    }
    numbers = {
        "birth_year": pa.array(rng.integers(1920, 2020, rows)),
        "nights": pa.array(rng.integers(0, 60, rows)),
        "cost": pa.array(np.round(rng.gamma(2, 1500, rows), 2)),
        "score": pa.array(rng.normal(size=rows)),
    }
    unit = {"_unit": pa.array(units[rng.integers(0, rows // 4, rows)])}
    return to_stored(pa.table(unit | codes | days | numbers), domain_words(domains)), domains


def plain_table(research: pa.Table) -> pa.Table:
    """Give the table as a partner sends it: identifiers, strings and a note in one place."""
    rng = np.random.default_rng(2)
    rows = research.num_rows
    strings = {
        field.name: column.cast(pa.string()) if pa.types.is_dictionary(field.type) else column
        for field, column in zip(research.schema, research.columns, strict=True)
        if field.name != "_unit"
    }
    units = research.column("_unit").to_numpy()
    nir = pa.array(np.char.zfill((units % np.uint64(10**15)).astype("U15"), 15))
    picked = rng.integers(0, len(WORDS), (6, rows))
    note = pa.array(WORDS).take(pa.array(picked[0]))
    notes = [pa.array(WORDS).take(pa.array(row)) for row in picked[1:]]
    birth = pa.array(rng.integers(-15000, 18000, rows).astype("int32"), pa.date32())
    joined = pa.compute.binary_join_element_wise(note, *notes, " ")
    return pa.table({"nir": nir, "birth": birth} | strings | {"note": joined})


class Bench:
    """The files both sides read, and the measurements over them."""

    def __init__(self, folder: Path, rows: int, buckets: int) -> None:
        self.folder = folder
        self.table, self.domains = research_table(rows)
        units = self.table.column("_unit").to_numpy()
        shared = bucket_rows(bucket_numbers(units, ORDER_KEY, buckets), buckets)
        order = [of_bucket[stored_order(units[of_bucket], ORDER_KEY)] for of_bucket in shared]
        self.parts = [self.table.take(pa.array(of_bucket)) for of_bucket in order]
        self.key = bytes(range(32))
        self.encrypted = [folder / f"encrypted-{number}.parquet" for number in range(buckets)]
        self.plain = [folder / f"plain-{number}.parquet" for number in range(buckets)]
        self.defaults = [folder / f"defaults-{number}.parquet" for number in range(buckets)]
        pq.write_table(
            plain_table(self.table), folder / "partner.parquet", compression="zstd", compression_level=1
        )
        create_keyring(folder / "keyring.json", PASSPHRASE)
        self.engine = open_keyring(folder / "keyring.json", PASSPHRASE, Rights.ENGINE)
        intake = open_keyring(folder / "keyring.json", PASSPHRASE, Rights.INTAKE)
        self.manifest = write_version(
            folder / "shelves",
            dataset=DATASET,
            version=1,
            shelves={"research": self.table},
            unit_column="_unit",
            order_key=ORDER_KEY,
            buckets=buckets,
            domains=self.domains,
            policy_sha256="0" * 64,
            previous=None,
            keys=intake,
            receipt=Receipt("data.import"),
        )
        self.text = self._text_shelf(intake, buckets)
        self.write_encrypted()
        self.write_plain()
        self.write_defaults()
        self.warm = WarmColumns(3600, 64 << 30)
        shelf = open_shelf(folder / "shelves", self.manifest, "research", self.engine, Receipt("data.query"))
        self.in_memory = [part.collect() for part in shelf.parts()]

    def _text_shelf(self, intake: LocalKeyring, buckets: int) -> Manifest:
        """Write a shelf of strings and notes, and the best plain layout of the same rows."""
        partner = pq.read_table(
            self.folder / "partner.parquet", columns=["nir", "sex", "icd", "finess", "note"]
        )
        table = partner.append_column("_unit", self.table.column("_unit"))
        pq.write_table(table, self.folder / "text.parquet", compression="zstd", compression_level=1)
        return write_version(
            self.folder / "shelves",
            dataset=DATASET,
            version=2,
            shelves={"text": table},
            unit_column="_unit",
            order_key=ORDER_KEY,
            buckets=buckets,
            domains={},
            policy_sha256="0" * 64,
            previous=None,
            keys=intake,
            receipt=Receipt("data.import"),
        )

    def files(self) -> list[EncryptedFile]:
        return [
            EncryptedFile(path, _place(number), part.num_rows, self.key)
            for number, (path, part) in enumerate(zip(self.encrypted, self.parts, strict=True))
        ]

    def write_encrypted(self) -> None:
        for number, (path, part) in enumerate(zip(self.encrypted, self.parts, strict=True)):
            path.unlink(missing_ok=True)
            write_encrypted(path, part, _place(number), self.key)

    def write_plain(self) -> None:
        for path, part in zip(self.plain, self.parts, strict=True):
            path.unlink(missing_ok=True)
            pq.write_table(part, path, **layout(part))
            durable(path, part.num_rows)

    def write_defaults(self) -> None:
        for path, part in zip(self.defaults, self.parts, strict=True):
            path.unlink(missing_ok=True)
            pq.write_table(part, path)

    def read_group(self) -> None:
        self.files()[0]._open().read_row_group(0, COLUMNS, use_threads=False)  # noqa: SLF001 - readers read parts whole

    def read_plain_group(self) -> None:
        pq.ParquetFile(self.plain[0]).read_row_group(0, COLUMNS, use_threads=False)

    def read_encrypted(self, columns: list[str] | None) -> None:
        files = self.files()
        schema = files[0].schema()
        for file in files:
            file.read(schema, columns)

    def read_plain(self, columns: list[str] | None) -> None:
        self._read(self.plain, columns)

    def read_defaults(self, columns: list[str] | None) -> None:
        self._read(self.defaults, columns)

    def _read(self, paths: list[Path], columns: list[str] | None) -> None:
        schema = pq.ParquetFile(paths[0]).schema_arrow
        for path in paths:
            file = pq.ParquetFile(path)
            assert file.schema_arrow.equals(schema)
            file.read(columns=columns, use_threads=False)

    def shelf_to_polars(self, columns: list[str] | None) -> pl.DataFrame:
        shelf = open_shelf(
            self.folder / "shelves", self.manifest, "research", self.engine, Receipt("data.query")
        )
        return shelf.read(columns)

    def text_to_polars(self) -> pl.DataFrame:
        shelf = open_shelf(self.folder / "shelves", self.text, "text", self.engine, Receipt("data.query"))
        return shelf.read()

    def plain_text_to_polars(self) -> pl.DataFrame:
        return pl.scan_parquet(self.folder / "text.parquet").collect()

    def warm_question(self) -> pl.DataFrame:
        shelf = open_shelf(
            self.folder / "shelves", self.manifest, "research", self.engine, Receipt("data.query"), self.warm
        )
        return question(shelf.parts())

    def memory_question(self) -> pl.DataFrame:
        return question([part.lazy() for part in self.in_memory])

    def partner_to_polars(self, columns: list[str] | None) -> pl.DataFrame:
        scan = pl.scan_parquet(self.folder / "partner.parquet")
        return (scan if columns is None else scan.select(columns)).collect()


def question(parts: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Ask what a question asks of each part: rows a unit bounded, then sums for declared groups."""
    cells = [
        part.filter(pl.col("nights") < 30)
        .group_by("_unit", "icd")
        .agg(pl.len().clip(upper_bound=5).alias("n"), pl.col("cost").clip(0, 10_000).sum().clip(0, 50_000))
        .group_by("icd")
        .agg(pl.col("n").sum(), pl.col("cost").sum())
        for part in parts
    ]
    return pl.concat(pl.collect_all(cells)).group_by("icd").agg(pl.all().sum())


def _place(number: int) -> Place:
    return Place(DATASET, 1, "research", f"part-{number:05d}")


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
    parser.add_argument("--buckets", type=int, default=8)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="storage-"))
    try:
        bench = Bench(folder, chosen.rows, chosen.buckets)
        met = [told(claim, chosen.rounds) for claim in claims(bench, chosen.rounds)]
        return 0 if all(met) else 1
    finally:
        shutil.rmtree(folder)


def claims(bench: Bench, rounds: int) -> list[Claim]:
    """Measure each claim against its peer."""
    cpu = time.process_time
    sizes = [sum(path.stat().st_size for path in paths) for paths in (bench.encrypted, bench.plain)]
    write = ratio(bench.write_encrypted, bench.write_plain, rounds, cpu)
    defaults = ratio(bench.write_encrypted, bench.write_defaults, rounds, cpu)
    found = [
        Claim("write", write, 1.10, f"{SAME}, with the same fsync and hash (CPU)"),
        Claim(
            "write against pyarrow's defaults",
            defaults,
            1.10,
            "pq.write_table as it comes, no fsync, no hash (CPU)",
        ),
        Claim("size", sizes[0] / sizes[1], 1.005, SAME),
    ]
    bench.warm_question()
    warm = ratio(bench.warm_question, bench.memory_question, rounds, time.perf_counter)
    text = ratio(bench.text_to_polars, bench.plain_text_to_polars, rounds, time.perf_counter)
    group = ratio(bench.read_group, bench.read_plain_group, rounds * 5, cpu)
    return (
        found
        + read_claims(bench, "whole", None, 1.2, rounds)
        + read_claims(bench, "3 columns", COLUMNS, 2.0, rounds)
        + [
            Claim("read one row group", group, 1.10, f"{SAME}, read by pyarrow (CPU)"),
            Claim("cold shelf of strings and notes to polars, whole", text, 2.0, f"{TEXT} (wall)"),
            Claim("warm question", warm, 1.1, "the same question of polars frames in memory (wall)"),
        ]
    )


def read_claims(
    bench: Bench, name: str, columns: list[str] | None, target: float, rounds: int
) -> list[Claim]:
    """Measure reading: the cost of the cipher alone, and of a cold shelf against what it replaces."""
    wanted = None if columns is None else ["nir" if column == "_unit" else column for column in columns]
    cipher = ratio(
        lambda: bench.read_encrypted(columns), lambda: bench.read_plain(columns), rounds, time.process_time
    )
    defaults = ratio(
        lambda: bench.read_encrypted(columns), lambda: bench.read_defaults(columns), rounds, time.process_time
    )
    cold = ratio(
        lambda: bench.shelf_to_polars(columns),
        lambda: bench.partner_to_polars(wanted),
        rounds,
        time.perf_counter,
    )
    return [
        Claim(f"read {name}", cipher, 1.10, f"{SAME}, read by pyarrow (CPU)"),
        Claim(
            f"read {name} against pyarrow's defaults",
            defaults,
            1.10,
            "files of pq.write_table as it comes (CPU)",
        ),
        Claim(f"cold shelf to polars, {name}", cold, target, f"{PARTNER} (wall)"),
    ]


def told(claim: Claim, rounds: int) -> bool:
    ok = claim.value <= claim.target
    line = {**vars(claim), "value": round(claim.value, 4), "ok": ok, "rounds": rounds}
    print(json.dumps({name: line[name] for name in ("claim", "value", "target", "ok", "rounds", "against")}))
    return ok


if __name__ == "__main__":
    sys.exit(main())
