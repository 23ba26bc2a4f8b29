"""What `strings` would find in the state folder of a house people live in: no name, no number, no note of a patient."""

import re
from pathlib import Path

import pytest

from enclave.demo.cast import SEED
from enclave.demo.hospital_stays import hospital_stays
from tests.living import PATIENTS, STAYS, Lived

# A run of bytes strings(1) would print. Shorter ones turn up by chance in what is encrypted.
PRINTABLE = re.compile(rb"[\x20-\x7e\xc3\x80-\xbf]{8,}")
LEAST_NAME = 8


def needles() -> set[bytes]:
    """Give every NIR with and without its key, every name long enough, every note."""
    stays = hospital_stays(PATIENTS, STAYS, SEED)
    numbers = {str(number) for number in stays["nir"]}
    names = {str(name) for column in ("last_name", "first_name") for name in stays[column]}
    notes = {str(note)[:40] for note in stays["note"] if note}
    found = numbers | {number[:13] for number in numbers} | notes
    return {text.encode() for text in found | {name for name in names if len(name) >= LEAST_NAME}}


def strings(path: Path) -> list[bytes]:
    return PRINTABLE.findall(path.read_bytes())


def test_no_file_database_or_log_shows_a_name_a_number_or_a_note(lived: Lived) -> None:
    state = lived.house.settings.state
    looked_for = needles()
    assert len(looked_for) > 2 * PATIENTS
    files = [path for path in state.rglob("*") if path.is_file()]
    kinds = {"house.db", "ledger.db", "log.db", "keyring.json", "manifest.json", "part-00000.parquet"}
    assert kinds <= {path.name for path in files}
    pattern = re.compile(b"|".join(map(re.escape, sorted(looked_for, key=len, reverse=True))))
    shown = {str(path.relative_to(state)) for path in files if any(map(pattern.search, strings(path)))}
    assert not shown


def test_the_search_would_find_what_it_looks_for(tmp_path: Path) -> None:
    one = next(iter(sorted(needles())))
    (tmp_path / "log").write_bytes(b"\x00\x01" + one + b"\x00")
    assert any(one in found for found in strings(tmp_path / "log"))


@pytest.mark.parametrize("folder", ["logs", "shelves", "trail"])
def test_the_folders_looked_into_are_not_empty(lived: Lived, folder: str) -> None:
    assert any((lived.house.settings.state / folder).rglob("*"))
