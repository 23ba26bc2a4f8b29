"""The log's key under another passphrase is the same key."""

import stat
from pathlib import Path

import pytest

from audit.checkpoint import create_key, load_signer
from audit.errors import BadInput
from audit.key_file import change_passphrase

OLD, NEW, NAME = b"several words nobody guesses", b"other words nobody guesses", "enclave.example/trail"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "trail.key"
    create_key(path, OLD)
    return path


def test_under_a_new_passphrase_the_log_signs_with_the_same_key(key_file: Path) -> None:
    before = load_signer(key_file, OLD, NAME).verifier
    change_passphrase(key_file, OLD, NEW)
    change_passphrase(key_file, OLD, NEW)
    assert load_signer(key_file, NEW, NAME).verifier == before
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with pytest.raises(BadInput):
        load_signer(key_file, OLD, NAME)


def test_what_cannot_be_opened_is_left_as_it_is(key_file: Path) -> None:
    before = key_file.read_bytes()
    for old, new in ((b"a guess", NEW), (OLD, b"")):
        with pytest.raises(BadInput):
            change_passphrase(key_file, old, new)
    assert key_file.read_bytes() == before
    with pytest.raises(BadInput):
        change_passphrase(key_file.with_name("none"), OLD, NEW)
