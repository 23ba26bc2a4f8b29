"""What bringing a partner's CSV in costs: memory that a larger file does not raise, and rows a second.

`python -m benchmarks.ingest [--megabytes 100] [--rounds 1]` prints one JSON line a claim. Both sides run in processes of
their own, the intake (typed by its policy, identifiers checked and numbered, split onto shelves, sorted, encrypted,
hashed, synced) and pyarrow (the same file, types declared, into one plain Parquet file). The exit code is 1 when a
target is missed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from enclave.demo.cast import HOSPITAL, policy
from enclave.demo.hospital_stays import hospital_stays, write_csv

STAYS, SEED = 100_000, 1
PEAK_MB, RATE = 400, 0.85
BLOCK = 4 << 20


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def make_csv(path: Path, megabytes: int) -> int:
    """Repeat the hospital-stay generator's rows until the file is as large as wanted; gives the rows."""
    write_csv(path, hospital_stays(STAYS // 3, STAYS, SEED))
    header, rows = path.read_bytes().split(b"\n", 1)
    times = max(1, megabytes * 10**6 // len(rows))
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(rows)
    return times * rows.count(b"\n")


def measure(*command: str) -> Run:
    """Run a command and give its wall and CPU time and the most memory it held."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.ingest", *command])
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, command
    return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def plain(source: Path, target: Path) -> None:
    """Bring the file in as pyarrow alone would: types declared, one plain Parquet file."""
    reader = pa_csv.open_csv(
        source,
        read_options=pa_csv.ReadOptions(block_size=BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=";"),
        convert_options=pa_csv.ConvertOptions(column_types={"nir": pa.string(), "postcode": pa.string()}),
    )
    with pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def ours(source: Path, state: Path) -> None:
    from tests.unit.intake.intake_house import intake_house
    from tests.unit.vault.helpers import PASSPHRASE
    from vault.keyring import create_keyring

    state.mkdir()
    create_keyring(state / "keyring.json", PASSPHRASE)
    house = intake_house(state, state / "keyring.json", buckets=8, unpacked_bytes_max=10**11)
    house.declare(HOSPITAL, "hospital-patients", policy(HOSPITAL))
    house.bring(source, policy(HOSPITAL))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        {"plain": plain, "ours": ours}[chosen.side](chosen.source, chosen.target)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="ingest-"))
    try:
        return 0 if all(told(folder, chosen.megabytes, chosen.rounds)) else 1
    finally:
        shutil.rmtree(folder)


def told(folder: Path, megabytes: int, rounds: int) -> list[bool]:
    """Measure both sides in the same rounds and print the claims."""
    source = folder / "stays.csv"
    rows = make_csv(source, megabytes)
    pairs = []
    for number in range(rounds):
        sides = {side: folder / f"{side}-{number}" for side in ("plain", "ours")}
        pairs.append(
            {
                side: measure("--side", side, "--source", str(source), "--target", str(target))
                for side, target in sides.items()
            }
        )
        for target in sides.values():
            shutil.rmtree(target) if target.is_dir() else target.unlink()
    peak = max(pair["ours"].peak_mb for pair in pairs)
    rate = statistics.median(pair["plain"].seconds / pair["ours"].seconds for pair in pairs)
    size = round(source.stat().st_size / 10**6)
    lines = [
        {"claim": "ingest peak RSS, MB", "value": round(peak), "target": PEAK_MB, "ok": peak <= PEAK_MB},
        {
            "claim": "ingest rows/s against plain pyarrow",
            "value": round(rate, 3),
            "target": RATE,
            "ok": rate >= RATE,
        },
    ]
    last = pairs[-1]
    for line in lines:
        print(
            json.dumps(
                line
                | {
                    "csv_mb": size,
                    "rows": rows,
                    "rows_per_second": round(rows / last["ours"].seconds),
                    "cpu_seconds": round(last["ours"].cpu_seconds, 1),
                    "plain_rows_per_second": round(rows / last["plain"].seconds),
                    "plain_cpu_seconds": round(last["plain"].cpu_seconds, 1),
                    "plain_peak_mb": round(last["plain"].peak_mb),
                }
            )
        )
    return [bool(line["ok"]) for line in lines]


if __name__ == "__main__":
    sys.exit(main())
