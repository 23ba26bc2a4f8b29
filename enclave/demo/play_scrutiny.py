"""Scrutiny, played: the trail verifies, one changed byte is found, and a closed house leaves nothing readable."""

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars as pl

from audit.verify import verify
from enclave.demo.cast import AUDITOR
from enclave.demo.open_house import OpenHouse
from enclave.demo.play import Play
from enclave.demo.promises import PromiseBrokenError, Promises
from enclave.settings import Settings

TAMPERED: Final = 5
# Shorter words turn up by chance.
TELLING_BYTES: Final = 8


def verified(play: Play, house: OpenHouse) -> None:
    trail = play.settings.state / "trail"
    with play.promises.promise(
        "The trail verifies: every intent has its outcome, two others than the author approved"
    ) as seen:
        report = verify(trail)
        seen.that(report.integrity, "the trail is not whole")
        seen.that(report.completeness is True, "; ".join(one.words for one in report.anomalies))
        seen.tell(f"{report.size} entries, {report.step('releases').words}")
    with play.promises.promise("One changed byte in a copy of the trail is found and named") as seen:
        copy = play.settings.state / "exported-trail"
        told = play.command(house, "audit", "export", str(copy), "--json", person=AUDITOR)
        seen.that(told.returncode == 0, told.stderr)
        _change_a_byte(next(iter(sorted(copy.glob("tile/entries/**/*[0-9]")))))
        verifier = (sys.executable, "-m", "audit", "verify", str(copy), "--json")
        found = subprocess.run(verifier, capture_output=True, text=True, check=False)
        seen.that(found.returncode == TAMPERED, f"the verifier ended with {found.returncode}")
        seen.tell(f"first broken index {json.loads(found.stdout)['first_broken_index']}")


def _change_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def closed(settings: Settings, promises: Promises, play: Play) -> None:
    with promises.promise("Ctrl-C leaves no process, and nothing readable on disk") as seen:
        left = processes_naming(str(settings.state), str(settings.run))
        seen.that(not left, f"still running: {left}")
        seen.tell(
            f"{nothing_readable(settings.state, play.truth)} names, numbers and notes looked for in every file"
        )


def nothing_readable(state: Path, truth: pl.DataFrame) -> int:
    """Look for identity numbers, names and notes in every file of the state; gives how many were looked for.

    Raises `PromiseBrokenError` naming the file, never the value.
    """
    words = _telling_words(truth)
    for file in _files_under(state):
        content = file.read_bytes()
        if any(word in content for word in words):
            raise PromiseBrokenError(f"{file.relative_to(state)} holds a name, a number or a note")
    return len(words)


def _telling_words(truth: pl.DataFrame) -> list[bytes]:
    """Give what must be found nowhere: identity numbers, full names, notes."""
    some = truth.sample(200, seed=1)
    names = (some["first_name"] + " " + some["last_name"]).to_list()
    notes = [note[:40] for note in some["note"].drop_nulls().to_list()]
    words = [str(word).encode() for word in [*some["nir"].to_list(), *names, *notes]]
    return [word for word in words if len(word) >= TELLING_BYTES]


def _files_under(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def processes_naming(*places: str) -> list[str]:
    """Give the processes that have one of these places on their command line or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if any(f"{place}".encode() in told for place in places):
                found.append(process.name)
    return found
