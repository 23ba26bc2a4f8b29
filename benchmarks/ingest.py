"""What bringing a partner's CSV in costs: memory that a larger file does not raise, and rows a second.

`python benchmarks/ingest.py [--megabytes 100 | --rows 500000] [--rounds 5]` prints one JSON line a claim. The two sides
take turns in processes of their own: the intake (typed by its policy, identifiers checked and numbered, split onto
shelves, sorted, encrypted, hashed, synced) and pyarrow (the same file, types declared, into one plain Parquet file, not
synced). Rows a second count from the call to its end, without starting Python; the most memory is the whole process's.
The exit code is 1 when a target is missed.
"""

import argparse
import json
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

# this folder has an `audit.py` too: ours comes first, also in the processes started below
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from enclave.demo.cast import HOSPITAL, policy
from enclave.demo.hospital_stays import hospital_stays, write_csv

STAYS, SEED = 100_000, 1
PEAK_MB, RATE = 400, 0.85
BLOCK = 4 << 20
PLAIN = "pyarrow reads the same CSV into one plain Parquet file, types declared, not synced"


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def make_csv(path: Path, megabytes: int, rows: int | None = None) -> int:
    """Repeat the hospital-stay generator's rows until the file is as large as wanted; gives the rows."""
    write_csv(path, hospital_stays(STAYS // 3, STAYS, SEED))
    header, content = path.read_bytes().split(b"\n", 1)
    times = max(1, rows // STAYS if rows else megabytes * 10**6 // len(content))
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(content)
    return times * content.count(b"\n")


def measure(*command: str) -> Run:
    """Run a side and give the wall and CPU time it took, and the most memory its process held."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ingest", *command], stdout=subprocess.PIPE, text=True
    )
    said, _ = child.communicate()
    assert child.returncode == 0, command
    return Run(*json.loads(said))


def plain(source: Path, target: Path) -> tuple[float, float]:
    """Bring the file in as pyarrow alone would: types declared, one plain Parquet file."""
    started = _clocks()
    reader = pa_csv.open_csv(
        source,
        read_options=pa_csv.ReadOptions(block_size=BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=";"),
        convert_options=pa_csv.ConvertOptions(column_types={"nir": pa.string(), "postcode": pa.string()}),
    )
    with pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    return _since(started)


def ours(source: Path, state: Path) -> tuple[float, float]:
    """Bring the file in with books, keys and a trail of its own; what setting these up takes is not counted."""
    from tests.unit.intake.intake_house import intake_house
    from tests.unit.vault.helpers import PASSPHRASE
    from vault.keyring import create_keyring

    state.mkdir()
    create_keyring(state / "keyring.json", PASSPHRASE)
    house = intake_house(state, state / "keyring.json", buckets=8, unpacked_bytes_max=10**11)
    house.declare(HOSPITAL, "hospital-patients", policy(HOSPITAL))
    started = _clocks()
    report = house.bring(source, policy(HOSPITAL))
    taken = _since(started)
    assert report.stored == report.rows_in
    house.recorder.close()
    return taken


def peak_mb() -> float:
    """Give the most memory this process held since it was started; wait4 would tell its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - started[0], now[1] - started[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rows", type=int, help="instead of --megabytes, in steps of 100 000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        taken = {"plain": plain, "ours": ours}[chosen.side](chosen.source, chosen.target)
        print(json.dumps([*taken, peak_mb()]))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="ingest-"))
    try:
        source = folder / "stays.csv"
        rows = make_csv(source, chosen.megabytes, chosen.rows)
        return 0 if told(source, rows, [one_round(source, number) for number in range(chosen.rounds)]) else 1
    finally:
        shutil.rmtree(folder)


def one_round(source: Path, number: int) -> dict[str, Run]:
    """Measure both sides once; who goes first alternates."""
    sides = ("plain", "ours") if number % 2 else ("ours", "plain")
    found = {}
    for side in sides:
        target = source.with_name(f"{side}-{number}")
        found[side] = measure("--side", side, "--source", str(source), "--target", str(target))
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    return found


def told(source: Path, rows: int, found: list[dict[str, Run]]) -> bool:
    """Print the claims; gives whether all targets are met."""
    peak = max(one["ours"].peak_mb for one in found)
    rate = statistics.median(one["plain"].seconds / one["ours"].seconds for one in found)
    cpu = statistics.median(one["plain"].cpu_seconds / one["ours"].cpu_seconds for one in found)
    size = round(source.stat().st_size / 10**6)
    last = {side: vars(run) for side, run in found[-1].items()}
    lines = [
        ("ingest peak RSS, MB", peak, PEAK_MB, peak <= PEAK_MB, f"whole process, CSV of {size} MB"),
        ("ingest rows/s", rate, RATE, rate >= RATE, f"{PLAIN} (wall)"),
        ("ingest rows per CPU second", cpu, None, True, f"{PLAIN} (CPU of both threads)"),
    ]
    for claim, value, target, ok, against in lines:
        line = {"claim": claim, "value": round(value, 3), "target": target, "ok": ok}
        more = {"rounds": len(found), "against": against, "rows": rows, "csv_mb": size, "last": last}
        print(json.dumps(line | more))
    return all(ok for _, _, _, ok, _ in lines)


if __name__ == "__main__":
    sys.exit(main())
