"""Peers that cannot live in our environment: each gets one of its own, made once in a cache folder, and is run as a process.

Where one does not install or run here, a line says why and what was tried; it is no claim met or missed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from anonymisation.bounds import UNIT
from anonymisation.budget import DELTA
from benchmarks.privacy.accounting import ANSWERS, SCALE, ours_for
from benchmarks.privacy.claims import claim, not_run
from benchmarks.privacy.made_up import COUNT, SUM, ours, question

HERE = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "enclave-benchmarks"
TOOLS = Path(__file__).parents[2] / ".tools" / "bin" / "uv"
SECONDS = 900
TIMES_FASTER = 10


@dataclass(frozen=True)
class Peer:
    """A package with its version, and the script that speaks to it."""

    name: str
    package: str
    script: str


PLD = Peer("dp-accounting", "dp-accounting==0.6.0", "pld_peer.py")
ENGINES = (
    Peer("SmartNoise SQL", "smartnoise-sql==1.0.10", "smartnoise_peer.py"),
    Peer("Tumult Analytics", "tmlt-analytics==0.21.0", "tumult_peer.py"),
)


class CannotRun(Exception):
    """A peer is not to be had here."""

    def __init__(self, reason: str, tried: Sequence[str]) -> None:
        super().__init__(reason)
        self.reason, self.tried = reason, tuple(tried)


def by(peer: Peer, *arguments: str) -> dict[str, Any]:
    """Run a peer's script in its own environment and read its line; raises `CannotRun`."""
    python = _environment(peer)
    done = _run([str(python), str(HERE / peer.script), *arguments])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _environment(peer: Peer) -> Path:
    folder = CACHE / peer.package
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = str(TOOLS) if TOOLS.exists() else shutil.which("uv")
        if uv is None:
            raise CannotRun(
                "there is no uv to make an environment with", ["scripts/setup.sh makes one", "uv on the PATH"]
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), peer.package])
        (folder / "complete").touch()
    return python


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    shown = " ".join(command)
    try:
        with tempfile.TemporaryDirectory() as folder:  # what a peer leaves behind goes with it
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder
            )
    except subprocess.TimeoutExpired:
        raise CannotRun(f"no answer in {SECONDS} s", [shown]) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CannotRun(last[:300], [shown])
    return done


def engines(data: pl.DataFrame, folder: Path, rounds: int = 3) -> Iterator[bool]:
    """Claims: how many times faster we answer count and sum by group than each peer, both warm, no set target but ten."""
    file = folder / "stays.csv"
    data.select(unit=pl.col(UNIT).cast(pl.Int64), dept=pl.col("dept").cast(pl.String), age="age").write_csv(
        file
    )
    asked = question((COUNT, SUM))
    own = median(ours(data, asked) for _ in range(2 * rounds + 1))
    for peer in ENGINES:
        told = f"count and sum by 20 groups of {data.height:,} rows: times faster than {peer.name}"
        try:
            found = by(peer, str(file), str(rounds))
        except CannotRun as why:
            yield not_run(told, why.reason, [peer.package, *why.tried])
            continue
        faster = [each / own for each in found["seconds"]]
        yield claim(told, faster, TIMES_FASTER, f"{peer.package}, {found['privacy']}, warm", at_least=True)


def accountant() -> Iterator[bool]:
    """Claim: our epsilon of many answers over that of a library that composes privacy loss distributions."""
    told = f"epsilon of {ANSWERS} answers over that of a privacy loss distribution library"
    try:
        theirs = by(PLD, str(ANSWERS), str(SCALE), str(DELTA))["epsilon"]
    except CannotRun as why:
        yield not_run(told, why.reason, [PLD.package, *why.tried])
    else:
        yield claim(told, [ours_for() / theirs], 1.10, f"{PLD.package}, {theirs:.4f} at delta {DELTA:g}")
